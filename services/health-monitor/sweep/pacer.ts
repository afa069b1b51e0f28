// Starts every probe of the leased backends when it is due, by timers of this process alone. A probe waits for nothing:
// not for others, not for the ledger, not for an agent.
import type { Finding } from "@evenkeel/core/ledger/ledger.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { MonitorMetrics } from "../metrics.ts";
import type { AgentReport } from "../probes/ask-agent.ts";
import type { ProbeResult } from "../probes/attempt.ts";
import { createDueQueue } from "./due-queue.ts";
import { nextDueMs } from "./due-times.ts";
import type { Watched } from "./watched.ts";

/** Probes this process has open at any moment; each is a file descriptor. */
export const PROBES_AT_ONCE = 4_096;
/** Agents it is asking at any moment, besides. */
const AGENTS_AT_ONCE = 1_024;
/** Started before what has arrived meanwhile is read: else, short of processor time, all would start and none would end. */
const TURN = 32;
/** In place of when the timer is due, while none is wanted. */
const RUNNING = Number.NEGATIVE_INFINITY;
/** A probe this late is not made any more: others have taken over, or its next one is due. */
const LATE_MAX_MS = 1_000;
/** Who finds a backend in doubt probes it for so long, also without a lease: until whoever has it has heard of it. */
const CARRY_MS = 1_000;
/** A probe that took so much longer than its limit tells of this process, not of the backend. */
const HELD_UP_MS = 250;

export interface PacerOptions {
  metrics: MonitorMetrics;
  log: Log;
  /** @param urgent it may change something */
  report: (watched: Watched, finding: Finding, urgent: boolean) => void;
  probesAtOnce?: number;
}

export interface Pacer {
  /** Those due within [fromMs, untilMs), also those lately missed; again and again is as good as once. */
  lease(backends: Iterable<Watched>, fromMs: number, untilMs: number): void;
  /** Whether it is to be probed fast. */
  doubt(watched: Watched, doubtful: boolean): void;
  /** Resolves when all leases are over and no probe is open, at most `deadlineMs` later; then starts no more. */
  finish(deadlineMs: number): Promise<void>;
}

export function createPacer({ metrics, log, report, probesAtOnce = PROBES_AT_ONCE }: PacerOptions): Pacer {
  const queue = createDueQueue<Watched>();
  let timer: NodeJS.Timeout | undefined;
  let timerMs = Number.POSITIVE_INFINITY;
  let probing = 0;
  let asking = 0;
  let finishing = false;
  let stopped = false;
  let finished = () => {};

  const idle = () => probing === 0 && queue.size === 0;

  function plan(watched: Watched, afterMs: number): void {
    const dueMs = nextDueMs(watched.times, Math.max(afterMs, watched.lastMs), watched.doubtful);
    if (dueMs >= watched.untilMs || dueMs >= watched.nextMs) return;
    watched.nextMs = dueMs;
    queue.push({ dueMs, what: watched });
    arm();
  }

  function arm(): void {
    const first = queue.peek();
    if (!first || stopped || first.dueMs >= timerMs) return;
    clearTimeout(timer);
    timerMs = first.dueMs;
    timer = setTimeout(run, Math.max(0, Math.ceil(timerMs - Date.now())));
  }

  function run(): void {
    timerMs = RUNNING;
    const nowMs = Date.now();
    let turns = 0;
    let first = queue.peek();
    for (; first && first.dueMs <= nowMs && turns < TURN && !stopped; first = queue.peek()) {
      queue.pop();
      turns += 1;
      take(first.what, first.dueMs, nowMs - first.dueMs);
    }
    if (turns === TURN) {
      setImmediate(run);
      return;
    }
    timerMs = Number.POSITIVE_INFINITY;
    arm();
    if (idle()) finished();
  }

  function take(watched: Watched, dueMs: number, lateMs: number): void {
    // Planned for an earlier time meanwhile, or not in the configuration any more.
    if (watched.nextMs !== dueMs || watched.gone) return;
    watched.nextMs = Number.POSITIVE_INFINITY;
    watched.lastMs = dueMs;
    if (lateMs > LATE_MAX_MS) metrics.skipped.inc({ pool: watched.pool, reason: "late" });
    else if (probing >= probesAtOnce) metrics.skipped.inc({ pool: watched.pool, reason: "busy" });
    else start(watched, dueMs, lateMs);
    plan(watched, dueMs);
  }

  function start(watched: Watched, dueMs: number, lateMs: number): void {
    metrics.lagSeconds.observe(lateMs / 1_000);
    probing += 1;
    const report = askAgent(watched);
    void watched.probe().then((result) => {
      probing -= 1;
      void concluded(watched, dueMs, result, report);
      if (idle()) finished();
    });
  }

  function askAgent({ ask, probing: { timeoutMs } }: Watched): Promise<AgentReport> | null {
    if (!ask) return null;
    if (asking >= AGENTS_AT_ONCE)
      return Promise.resolve({ metrics: {}, wish: null, fault: "no turn in time" });
    asking += 1;
    return ask(timeoutMs).finally(() => {
      asking -= 1;
    });
  }

  async function concluded(
    watched: Watched,
    dueMs: number,
    { ok, reason, latencyMs }: ProbeResult,
    asked: Promise<AgentReport> | null,
  ): Promise<void> {
    const { pool, id: backend, url } = watched;
    if (latencyMs > watched.probing.timeoutMs + HELD_UP_MS) {
      metrics.skipped.inc({ pool, reason: "held up" });
      return;
    }
    metrics.probed(pool, ok, latencyMs);
    // A bad finding waits for no agent.
    const told = ok && asked ? await asked : null;
    if (told && told.fault !== null) {
      metrics.agentFailures.inc({ pool });
      log.debug({ pool, backend, reason: told.fault }, "agent did not tell all");
    }
    const finding: Finding = { backend, url, ok, dueMs, detail: reason };
    if (told && Object.keys(told.metrics).length > 0) finding.metrics = told.metrics;
    if (told?.wish) finding.agent = told.wish;
    const urgent = watched.doubtful || ok !== watched.settled;
    report(watched, finding, urgent);
    if (ok !== watched.settled) doubt(watched, true);
  }

  function doubt(watched: Watched, doubtful: boolean): void {
    if (watched.gone || watched.doubtful === doubtful) return;
    watched.doubtful = doubtful;
    if (!doubtful) {
      watched.nextMs = Number.POSITIVE_INFINITY;
      plan(watched, watched.lastMs);
      return;
    }
    const nowMs = Date.now();
    if (!finishing) watched.untilMs = Math.max(watched.untilMs, nowMs + CARRY_MS);
    plan(watched, nowMs - watched.times.fastIntervalMs / 2);
  }

  return {
    lease(backends, fromMs, untilMs) {
      const nowMs = Date.now();
      for (const watched of backends) {
        if (watched.gone || untilMs <= watched.untilMs) continue;
        watched.untilMs = untilMs;
        const missedMs = Math.min(watched.times.intervalMs, LATE_MAX_MS);
        plan(watched, Math.max(fromMs - 1, nowMs - missedMs));
      }
    },
    doubt,
    async finish(deadlineMs) {
      finishing = true;
      await new Promise<void>((resolve) => {
        finished = resolve;
        setTimeout(resolve, deadlineMs).unref();
        if (idle()) resolve();
      });
      stopped = true;
      clearTimeout(timer);
    },
  };
}
