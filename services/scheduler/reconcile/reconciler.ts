// Keeps the ledger's pools equal to the applied configuration, and the applied configuration in existence: it is
// seeded when there is none yet and put back when Redis lost it. Every step may be repeated and any number of
// schedulers take it at once, so nobody has to be elected.
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import type { Ledger } from "@evenkeel/core/ledger/ledger.ts";
import type { ConfigStore } from "@evenkeel/ledger/config-store.ts";
import { type AppliedConfig, type StoredConfig, understand } from "@evenkeel/runtime/config-watch.ts";
import type { Restore } from "./known-pool.ts";
import { createPoolWriter } from "./pool-writer.ts";

const INTERVAL_MS = 1_000;
/**
 * Pools that were passed over are written too after this: a slower scheduler may have put one as it was in between, and
 * have died of it.
 */
const WHOLE_INTERVAL_MS = 10_000;

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
  /** The newest configuration that was understood; null until the first. */
  known(): AppliedConfig | null;
  close(): void;
}

export function createReconciler(options: ReconcilerOptions): Reconciler {
  const { configs, ledger, seed, onReconciled, onProblem } = options;
  /** The newest configuration seen, which Redis may have lost since. */
  let known: AppliedConfig | null = null;
  /** The one that the ledger was last made equal to. */
  let current: AppliedConfig | null = null;
  const writer = createPoolWriter(ledger);
  /** All pools have to be written: Redis may have lost them, or it is time. */
  let whole = true;
  const first = Promise.withResolvers<void>();
  let problem: string | null = null;
  /** A fault of the seed is reported but fails no pass: a configuration may come through the API instead. */
  let seedFault: Error | null = null;

  const report = (error: Error | null) => {
    if (error && error.message !== problem) onProblem(error);
    problem = error?.message ?? null;
  };

  const follow = async (): Promise<StoredConfig | null> => {
    seedFault = null;
    const applied = await configs.versions();
    if (known && applied.version === known.version) return known;
    if (known && isOlder(applied, known)) {
      whole = true;
      await putBack(known, applied);
    } else if (applied.version === 0) await plant();
    // Where another scheduler was first, its configuration is read here.
    const next = await configs.read();
    if (!known || known.seeded || !next?.seeded) return next;
    // Redis lost what an operator had changed, and somebody who did not know it planted a seed.
    whole = true;
    await configs.restore(known, next.version, "all");
    return configs.read();
  };

  /** What a monitor found after the loss is newer than what is known, though the document beside it is an older one. */
  const putBack = (lost: AppliedConfig, applied: Versions) =>
    configs.restore(lost, applied.version, applied.version < lost.version ? "all" : "written");

  const plant = async () => {
    const document = await seed().catch((error) => {
      seedFault = error as Error;
      return null;
    });
    if (document) await configs.seed(document);
  };

  const write = async (config: AppliedConfig) => {
    const all = whole || config.documentVersion !== current?.documentVersion;
    await writer.write(config, all ? "all" : "changed");
    if (all) whole = false;
    const isNew = config.version !== current?.version;
    current = config;
    first.resolve();
    if (isNew) onReconciled(config);
  };

  const pass = async () => {
    const next = await follow();
    if (next && next.version > (known?.version ?? 0)) known = understood(next, known);
    if (known && (known.version !== current?.version || whole)) await write(known);
    report(seedFault);
  };

  const reconcile = oneAtATime(pass);
  const trigger = () => void reconcile().catch(report);
  const timer = setInterval(trigger, INTERVAL_MS);
  const wholeTimer = setInterval(() => {
    whole ||= writer.passedOver;
  }, WHOLE_INTERVAL_MS);

  return {
    first: first.promise,
    lacking: () => (current ? null : (problem ?? "no configuration applied")),
    reconcile,
    trigger,
    async restore(name) {
      await reconcile();
      return known !== null && (await writer.writeOne(known, name));
    },
    known: () => known,
    close() {
      clearInterval(timer);
      clearInterval(wholeTimer);
    },
  };
}

type Versions = Pick<StoredConfig, "version" | "documentVersion">;

const isOlder = (applied: Versions, known: Versions): boolean =>
  applied.version < known.version || applied.documentVersion < known.documentVersion;

/** Written by a newer release, or by no scheduler, it may mean something else: it is never carried out, or put back. */
function understood(stored: StoredConfig, known: AppliedConfig | null): AppliedConfig {
  const understanding = understand(stored, known);
  if (understanding.ok) return understanding.config;
  const [{ path, message } = { path: "", message: "" }] = understanding.problems;
  throw new Error(`configuration ${stored.version} is not understood: ${path} ${message}`);
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
