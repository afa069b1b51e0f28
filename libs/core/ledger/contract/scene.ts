// What the parts of the contract share: one pool on a fresh ledger, and short words for what is said to it.
import { beforeEach } from "vitest";
import { POOL, statement } from "../fixtures.ts";
import type {
  BackendState,
  Finding,
  Ledger,
  LedgerEvent,
  Observation,
  Outcomes,
  PoolFacts,
  PoolState,
  Reply,
  Statement,
  Transition,
  Want,
} from "../ledger.ts";

export interface Subject {
  ledger: Ledger;
  /** Moves the clock the ledger sees. */
  advance(ms: number): void;
}

export type Create = () => Promise<Subject>;
export type Picks = (string | null)[];
export type Scene = ReturnType<typeof createScene>;

export function createScene(create: Create) {
  let subject: Subject;
  let configured: PoolFacts;
  let configVersion = 0;
  let seqs = new Map<string, number>();

  beforeEach(async () => {
    subject = await create();
    configVersion = 0;
    seqs = new Map();
  });

  const scene = {
    get ledger(): Ledger {
      return subject.ledger;
    },
    advance: (ms: number) => subject.advance(ms),

    /** As the next version of the configuration. */
    configure(facts: PoolFacts): Promise<number> {
      configVersion += 1;
      configured = { ...facts, configVersion };
      return subject.ledger.configure(configured);
    },

    async settle(said: Statement): Promise<Reply> {
      const result = await subject.ledger.settle(POOL, [said]);
      const reply = result?.replies[0];
      if (!reply) throw new Error("the pool is not known");
      return reply;
    },

    /** The gateway's next statement; its first is a full one. */
    state(more: Partial<Statement> = {}, gateway = "g1"): Promise<Reply> {
      const seq = (seqs.get(gateway) ?? 0) + 1;
      seqs.set(gateway, seq);
      return scene.settle(statement(gateway, seq, { full: seq === 1, ...more }));
    },

    /** From now on the gateway holds exactly this. */
    holds: (held: Record<string, number>, gateway = "g1") => scene.state({ full: true, held }, gateway),

    reports: (outcomes: Record<string, Outcomes>, gateway = "g1") => scene.state({ outcomes }, gateway),

    /** Picks in one call, all of them held. */
    async picks(n: number, want: Want = {}, gateway = "g1"): Promise<Picks> {
      return (await scene.state({ wants: Array.from({ length: n }, () => want) }, gateway)).picks;
    },

    async pick(want: Want = {}, gateway = "g1"): Promise<string | null> {
      return (await scene.picks(1, want, gateway))[0] ?? null;
    },

    /** One pick after the other; each is released before the next, so that only `held` stays in flight. */
    async passing(n: number, want: Want = {}, held: Record<string, number> = {}): Promise<Picks> {
      const picks: Picks = [];
      for (let i = 0; i < n; i += 1)
        picks.push(...(await scene.state({ full: true, held, wants: [want] })).picks);
      await scene.holds(held);
      return picks;
    },

    /** @param probes how many in a row are good, or bad */
    async probe(id: string, ok: boolean, probes = 1): Promise<Transition[]> {
      const url = configured.backends.find((b) => b.id === id)?.url ?? "";
      const transitions: Transition[] = [];
      for (let i = 0; i < probes; i += 1) {
        const observed = await subject.ledger.observe(POOL, [{ backend: id, url, ok }]);
        transitions.push(...(observed?.transitions ?? []));
      }
      return transitions;
    },

    async observe(...findings: Finding[]): Promise<Observation> {
      const observation = await subject.ledger.observe(POOL, findings);
      if (!observation) throw new Error("the pool is not known");
      return observation;
    },

    async log(after: string | null = null): Promise<LedgerEvent[]> {
      return (await subject.ledger.events(POOL, after, 1_000)).map(({ event }) => event);
    },

    async fails(...ids: string[]): Promise<void> {
      for (const id of ids) await scene.probe(id, false, configured.fall);
    },

    async recovers(id: string): Promise<void> {
      await scene.probe(id, true, configured.rise);
    },

    async pool(): Promise<PoolState> {
      const pool = await subject.ledger.read(POOL);
      if (!pool) throw new Error("the pool is not known");
      return pool;
    },

    async backend(id: string): Promise<BackendState> {
      const backend = (await scene.pool()).backends.find((b) => b.id === id);
      if (!backend) throw new Error(`no backend ${id}`);
      return backend;
    },

    counts: () => scene.each(({ inflight }) => inflight),
    effectiveWeights: () => scene.each(({ effectiveWeight }) => effectiveWeight),

    async each<T>(of: (backend: BackendState) => T): Promise<Record<string, T>> {
      return Object.fromEntries((await scene.pool()).backends.map((b) => [b.id, of(b)]));
    },
  };
  return scene;
}

export function tally(picks: Picks): Record<string, number> {
  const sums = new Map<string, number>();
  for (const id of picks) sums.set(String(id), (sums.get(String(id)) ?? 0) + 1);
  return Object.fromEntries(sums);
}

/** id → weight, for ids `x1` to `xn`. */
export const many = (name: string, n: number, weight = 1): Record<string, number> =>
  Object.fromEntries(Array.from({ length: n }, (_, i) => [`${name}${i + 1}`, weight]));
