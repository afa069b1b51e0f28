// A pool as this gateway last saw it: who its backends are, how they are, and what the others have in flight on them.
import type { Pool } from "@evenkeel/core/config/resolve.ts";
import type { Health, Mode } from "@evenkeel/core/health/state.ts";
import { isUsed, modeWished, weightWished } from "@evenkeel/core/ledger/agent.ts";
import { eligibility } from "@evenkeel/core/ledger/eligibility.ts";
import type { AgentWish, BackendState, PoolState, Want } from "@evenkeel/core/ledger/ledger.ts";
import { RAMP_STEP_MS } from "@evenkeel/core/ledger/slow-start.ts";
import type { BackendChange } from "@evenkeel/core/wire/events.ts";
import { type Candidate, type Choose, createFallback } from "./fallback.ts";

/** A pool older than what we know is believed after this: its version was not overtaken, it was lost with Redis. */
const OLDER_BELIEVED_AFTER_MS = 2_000;

interface Known {
  id: string;
  url: string;
  /** As configured. */
  weight: number;
  zone: string | null;
  maxInflight: number | null;
  priority: number;
  health: Health;
  mode: Mode;
  /** What its agent asks for; null: nothing. */
  wish: AgentWish | null;
  /** In flight through the other gateways, and through this one, when last seen. */
  others: number;
  own: number;
  /** When its slow start ends; 0: it is not in one, as far as is known. */
  fullAtMs: number;
}

export interface Snapshot {
  readonly version: number;
  /** The healthy ones cannot be expected to carry the load, so every active one is used. */
  readonly panic: boolean;
  /** It is not in panic, and somebody is ready. */
  readonly able: boolean;
  /** How many backends. */
  readonly size: number;
  url(backend: string): string | undefined;
  /** Undefined: it is not known. */
  health(backend: string): Health | undefined;
  /** Healthy, active, and not drained by its agent. */
  ready(backend: string): boolean;
  eligible(): string[];
  /** Keeps what is known of backends that stay; takes newcomers for what the pool says they are at first. */
  configure(pool: Pool): void;
  /** @param counted what the ledger counts for this gateway, to be told apart from the others' */
  replace(state: PoolState, counted: ReadonlyMap<string, number>): void;
  /** False when a version was missed: what the event says is taken over, the version stays, so it is read again. */
  apply(version: number, changes: readonly BackendChange[]): boolean;
  /** The backend for a want, decided here. */
  choose: Choose;
}

/** @param clock monotonic, ms */
export function createSnapshot(configured: Pool, clock: () => number): Snapshot {
  let pool = configured;
  let version = 0;
  let seenAtMs = clock();
  let backends = new Map<string, Known>();
  let panic = false;
  /** Before slow start. */
  let weights = new Map<string, number>();
  /** Made when it is needed. */
  let fallback: Choose | null = null;
  let fallbackUntilMs = 0;

  const index = () => {
    ({ panic, weights } = eligibility(backends.values().map(wished), pool.panicPercent));
    fallback = null;
  };

  const configure = (next: Pool) => {
    pool = next;
    // What nobody has said anything of yet is not taken for failing.
    const initial = version === 0 ? "healthy" : pool.initial;
    backends = new Map(pool.backends.map((b) => [b.id, merged(b, backends.get(b.id), initial)]));
    index();
  };

  const makeFallback = (nowMs: number): Choose => {
    const candidates: Candidate[] = [];
    let starting = false;
    for (const [id, weight] of weights) {
      const candidate = candidateOf(backends.get(id) as Known, weight, nowMs);
      if (candidate.risen < 1) starting = true;
      candidates.push(candidate);
    }
    fallbackUntilMs = starting ? nowMs + RAMP_STEP_MS : Number.POSITIVE_INFINITY;
    return createFallback(pool, candidates, ready);
  };

  const candidateOf = (
    { id, zone, maxInflight, others, own, fullAtMs }: Known,
    weight: number,
    nowMs: number,
  ) => {
    const risen = fullAtMs > nowMs ? rampOf(pool, fullAtMs - nowMs) : 1;
    return { id, weight: weight * risen, zone, maxInflight, others, own, risen };
  };

  const isReady = (known: Known | undefined): known is Known =>
    known !== undefined && known.health === "healthy" && isUsed(known.mode, known.wish);

  const ready = (backend: string): Candidate | null => {
    const known = backends.get(backend);
    return isReady(known) ? candidateOf(known, wished(known).weight, clock()) : null;
  };

  configure(configured);
  return {
    get version() {
      return version;
    },
    get panic() {
      return panic;
    },
    get able() {
      return !panic && weights.size > 0;
    },
    get size() {
      return backends.size;
    },
    url: (backend) => backends.get(backend)?.url,
    health: (backend) => backends.get(backend)?.health,
    ready: (backend) => isReady(backends.get(backend)),
    eligible: () => [...weights.keys()].sort(),
    configure,
    replace(state, counted) {
      const nowMs = clock();
      if (state.version < version && nowMs - seenAtMs < OLDER_BELIEVED_AFTER_MS) return;
      if (state.version !== version) seenAtMs = nowMs;
      version = state.version;
      backends = new Map(state.backends.map((b) => [b.id, seen(b, counted.get(b.id) ?? 0)]));
      index();
      if (panic) return;
      for (const { id, effectiveWeight } of state.backends)
        noteSlowStart(
          backends.get(id) as Known,
          effectiveWeight / (weights.get(id) ?? effectiveWeight),
          nowMs,
        );
    },
    apply(next, changes) {
      seenAtMs = clock();
      for (const change of changes) {
        const known = backends.get(change.backend);
        if (!known) continue;
        known.health = change.health;
        known.mode = change.mode;
        known.wish = { weightPercent: change.weightPercent ?? 100, drain: change.drain === true };
      }
      index();
      if (next !== version + 1) return false;
      version = next;
      return true;
    },
    choose(held, want: Want, random) {
      const nowMs = clock();
      if (fallback === null || nowMs >= fallbackUntilMs) fallback = makeFallback(nowMs);
      return fallback(held, want, random);
    },
  };

  function noteSlowStart(known: Known, ramp: number, nowMs: number): void {
    if (ramp > 0 && ramp < 1) known.fullAtMs = nowMs + (1 - ramp) * pool.slowStart.windowMs;
  }
}

const rampOf = ({ slowStart: { windowMs, fromPercent } }: Pool, leftMs: number): number =>
  Math.max(fromPercent / 100, 1 - leftMs / windowMs);

/** As its agent asks for it to be used. */
const wished = (known: Known): Known =>
  known.wish === null
    ? known
    : {
        ...known,
        mode: modeWished(known.mode, known.wish),
        weight: weightWished(known.weight, known.wish),
      };

const seen = (b: BackendState, own: number): Known => ({
  ...b,
  wish: b.agent ?? null, // a scheduler of an earlier release says nothing of it
  others: Math.max(0, b.inflight - own),
  own,
  fullAtMs: 0,
});

const merged = (backend: Pool["backends"][number], known: Known | undefined, initial: Health): Known => ({
  ...backend,
  health: known?.url === backend.url ? known.health : initial,
  mode: known?.mode ?? "active",
  wish: known?.wish ?? null,
  others: known?.others ?? 0,
  own: known?.own ?? 0,
  fullAtMs: known?.fullAtMs ?? 0,
});
