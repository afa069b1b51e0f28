// Keeps the ledger's pools equal to the applied configuration, and the applied configuration in existence: it is
// seeded when there is none yet and put back when Redis lost it. Every step may be repeated and any number of
// schedulers take it at once, so nobody has to be elected.
import { resolveConfig } from "@evenkeel/core/config/resolve.ts";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { validateConfig } from "@evenkeel/core/config/validate.ts";
import type { Ledger } from "@evenkeel/core/ledger/ledger.ts";
import type { ConfigStore } from "@evenkeel/ledger/config-store.ts";
import type { AppliedConfig } from "@evenkeel/runtime/config-watch.ts";
import { poolFacts } from "./facts.ts";
import type { Restore } from "./known-pool.ts";

const INTERVAL_MS = 1_000;
/** Pools configured at the same time: fewer round trips, and decisions still get their turn in between. */
const CONFIGURED_AT_ONCE = 16;

export interface ReconcilerOptions {
  configs: ConfigStore;
  ledger: Pick<Ledger, "configure" | "remove">;
  /** The configuration to start from while Redis holds none; null: there is none either. */
  seed: () => Promise<ConfigDocument | null>;
  /** Every pool of this configuration is now in the ledger. */
  onReconciled(config: AppliedConfig): void;
  /** A pass failed; the next one follows within a second. Called once per different reason. */
  onProblem(error: Error): void;
}

export interface Reconciler {
  /** Resolves once the ledger was made equal to a configuration for the first time. */
  readonly first: Promise<void>;
  /** Why it never was; null afterwards. */
  lacking(): string | null;
  /** One pass that begins after this call. @throws when Redis does not answer in time */
  reconcile(): Promise<void>;
  /** As `reconcile`, for whoever cannot do anything about a failure. */
  trigger(): void;
  restore: Restore;
  close(): void;
}

export function createReconciler(options: ReconcilerOptions): Reconciler {
  const { configs, ledger, seed, onReconciled, onProblem } = options;
  /** The newest configuration seen, which Redis may have lost since. */
  let known: AppliedConfig | null = null;
  /** The one that the ledger was last made equal to. */
  let current: AppliedConfig | null = null;
  /** Pools this process put into the ledger, and therefore has to take out. */
  const configured = new Set<string>();
  const first = Promise.withResolvers<void>();
  let problem: string | null = null;
  /** A fault of the seed is reported but fails no pass: a configuration may come through the API instead. */
  let seedFault: Error | null = null;

  const report = (error: Error | null) => {
    if (error && error.message !== problem) onProblem(error);
    problem = error?.message ?? null;
  };

  const follow = async (): Promise<AppliedConfig | null> => {
    seedFault = null;
    const version = await configs.version();
    if (known && version === known.version) return known;
    if (known && version < known.version) await configs.apply(known.document, version, known.version);
    else if (version === 0) await plant();
    // Where another scheduler was first, its configuration is read here.
    const next = await configs.read();
    if (!known || known.seeded || !next?.seeded) return next;
    // Redis lost what an operator had changed, and somebody who did not know it planted a seed.
    await configs.apply(known.document, next.version, known.version);
    return configs.read();
  };

  const plant = async () => {
    const document = await seed().catch((error) => {
      seedFault = error as Error;
      return null;
    });
    if (document) await configs.seed(document);
  };

  const configure = async ({ version, document }: AppliedConfig) => {
    const { pools } = resolveConfig(document);
    for (let i = 0; i < pools.length; i += CONFIGURED_AT_ONCE) {
      const some = pools.slice(i, i + CONFIGURED_AT_ONCE);
      await Promise.all(some.map((pool) => ledger.configure(poolFacts(pool, version))));
    }
    const wanted = new Set(pools.map(({ name }) => name));
    for (const name of configured) {
      if (wanted.has(name)) continue;
      await ledger.remove(name, version);
      configured.delete(name);
    }
    for (const name of wanted) configured.add(name);
  };

  const pass = async () => {
    const next = await follow();
    if (next && next.version > (known?.version ?? 0)) known = understood(next);
    if (known && known.version !== current?.version) {
      await configure(known);
      current = known;
      first.resolve();
      onReconciled(known);
    }
    report(seedFault);
  };

  const reconcile = oneAtATime(pass);
  const trigger = () => void reconcile().catch(report);
  const timer = setInterval(trigger, INTERVAL_MS);

  return {
    first: first.promise,
    lacking: () => (current ? null : (problem ?? "no configuration applied")),
    reconcile,
    trigger,
    async restore(name) {
      await reconcile();
      const pool = known && resolveConfig(known.document).pools.find((p) => p.name === name);
      if (!known || !pool) return false;
      await ledger.configure(poolFacts(pool, known.version));
      return true;
    },
    close: () => clearInterval(timer),
  };
}

/** Written by a newer release, or by no scheduler, it may mean something else: it is never carried out, or put back. */
function understood(config: AppliedConfig): AppliedConfig {
  const validation = validateConfig(config.document);
  if (validation.ok) return config;
  const [{ path, message } = { path: "", message: "" }] = validation.problems;
  throw new Error(`configuration ${config.version} is not understood: ${path} ${message}`);
}

/** Each call is followed by a whole run of `act`; calls made while one is running share the next. */
function oneAtATime(act: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | null = null;
  let next: Promise<void> | null = null;
  const run = (): Promise<void> => {
    if (!running) {
      running = act().finally(() => {
        running = null;
      });
      return running;
    }
    next ??= running
      .catch(() => {})
      .then(() => {
        next = null;
        return run();
      });
    return next;
  };
  return run;
}
