// Tells the ledger what was found, pool by pool: what may change something at once, the rest a moment later, together.
// One statement per pool is under way; what comes meanwhile goes into the next. What could not be told is dropped: the
// next probes know better.
import type { Finding, Ledger, Observation, Transition } from "@evenkeel/core/ledger/ledger.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { MonitorMetrics } from "../metrics.ts";
import type { Watched } from "./watched.ts";

/** How long a finding that changes nothing may wait for others, ms. */
const FLUSH_MS = 100;
/** In one statement: a few ms of Redis's time. */
const MAX_TOLD = 1_000;
/** Waiting in one pool; a pool has at most 10,000 backends, and only the newest findings matter. */
const MAX_WAITING = 10_000;
/** Older ones were held up together with this process. */
const STALE_MS = 1_500;

interface Found {
  watched: Watched;
  finding: Finding;
  foundMs: number;
}

export interface FindingsOptions {
  ledger: Pick<Ledger, "observe">;
  metrics: MonitorMetrics;
  log: Log;
  /** Whether each backend of a statement is in doubt by now. */
  judged: (doubts: { watched: Watched; doubtful: boolean }[]) => void;
}

export interface Findings {
  add(watched: Watched, finding: Finding, urgent: boolean): void;
  /** Tells what is waiting; resolves when that is answered. Never rejects. */
  flush(): Promise<void>;
}

interface PoolFindings {
  waiting: Found[];
  timer: NodeJS.Timeout | undefined;
  telling: Promise<void> | null;
  urgent: boolean;
}

export function createFindings(options: FindingsOptions): Findings {
  const pools = new Map<string, PoolFindings>();

  function tellNow(pool: string, state: PoolFindings): Promise<void> {
    clearTimeout(state.timer);
    state.timer = undefined;
    state.telling ??= tellAll(pool, state).finally(() => {
      state.telling = null;
      if (state.waiting.length === 0) pools.delete(pool);
      else later(pool, state);
    });
    return state.telling;
  }

  function later(pool: string, state: PoolFindings): void {
    state.timer ??= setTimeout(tellNow, FLUSH_MS, pool, state);
  }

  async function tellAll(pool: string, state: PoolFindings): Promise<void> {
    do {
      state.urgent = false;
      await tell(pool, state.waiting.splice(0, MAX_TOLD), options);
    } while (state.waiting.length >= MAX_TOLD || (state.urgent && state.waiting.length > 0));
  }

  return {
    add(watched, finding, urgent) {
      const { pool } = watched;
      let state = pools.get(pool);
      if (!state) {
        state = { waiting: [], timer: undefined, telling: null, urgent: false };
        pools.set(pool, state);
      }
      if (state.waiting.length >= MAX_WAITING) {
        state.waiting.shift();
        options.metrics.dropped.inc({ pool });
      }
      state.waiting.push({ watched, finding, foundMs: performance.now() });
      state.urgent ||= urgent;
      if (state.telling) return;
      if (urgent || state.waiting.length >= MAX_TOLD) void tellNow(pool, state);
      else later(pool, state);
    },
    async flush() {
      await Promise.all([...pools].map(([pool, state]) => tellNow(pool, state)));
    },
  };
}

/** Never rejects. */
async function tell(pool: string, all: readonly Found[], options: FindingsOptions): Promise<void> {
  const { ledger, metrics, log, judged } = options;
  const oldestMs = performance.now() - STALE_MS;
  const found = all.filter(({ foundMs }) => foundMs >= oldestMs);
  if (found.length < all.length) metrics.dropped.inc({ pool }, all.length - found.length);
  if (found.length === 0) return;
  let observation: Observation | null;
  try {
    observation = await ledger.observe(
      pool,
      found.map(({ finding }) => finding),
    );
  } catch (error) {
    metrics.dropped.inc({ pool }, found.length);
    metrics.observeFailures.inc({ pool });
    log.warn({ pool, findings: found.length, reason: (error as Error).message }, "findings not recorded");
    return;
  }
  if (!observation) log.debug({ pool }, "pool not in the ledger yet");
  const doubtful = new Set(observation?.doubtful);
  judged(found.map((one) => settle(one, doubtful)));
  for (const transition of observation?.transitions ?? []) {
    metrics.transitions.inc({ pool, to: transition.to });
    logTransition(log, pool, transition);
  }
}

function settle({ watched, finding }: Found, doubts: ReadonlySet<string>) {
  const doubtful = doubts.has(watched.id);
  if (!doubtful) watched.settled = finding.ok;
  return { watched, doubtful };
}

function logTransition(log: Log, pool: string, { backend, from, to, reason, detail }: Transition): void {
  log[to === "healthy" ? "info" : "warn"]({ pool, backend, from, to, reason, detail }, "health changed");
}
