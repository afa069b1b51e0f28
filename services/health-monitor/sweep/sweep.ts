// One sweep: every backend of a shard is probed at once, whatever its mode, and beside it its agent is asked, if the
// pool has any. All findings reach the ledger in one atomic step, which answers what they changed.
import type { Backend } from "@evenkeel/core/config/resolve.ts";
import type { Finding, Ledger, Transition } from "@evenkeel/core/ledger/ledger.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { MonitorMetrics } from "../metrics.ts";
import { type AgentReport, askAgent } from "../probes/ask-agent.ts";
import type { ProbeResult } from "../probes/attempt.ts";
import { probeHttp } from "../probes/probe-http.ts";
import { probeTcp } from "../probes/probe-tcp.ts";
import type { Limit } from "./limit.ts";
import type { Shard } from "./shards.ts";

export interface SweepContext {
  ledger: Pick<Ledger, "observe">;
  /** Both are shared by all sweeps of the process; apart, so that agents that hang never delay a probe. */
  limit: Limit;
  agentLimit: Limit;
  metrics: MonitorMetrics;
  log: Log;
}

/** @throws when the ledger cannot be reached; the findings are lost then, and the next sweep has newer ones */
export async function sweep(shard: Shard, context: SweepContext): Promise<void> {
  const { ledger, limit, agentLimit, metrics, log } = context;
  const { pool, backends } = shard;
  const [results, reports] = await Promise.all([
    Promise.all(backends.map((backend) => limit(() => probe(backend, shard)))),
    askAgents(shard, agentLimit),
  ]);
  for (const { ok, latencyMs } of results) {
    metrics.probes.inc({ pool, result: ok ? "good" : "bad" });
    metrics.probeSeconds.observe(latencyMs / 1_000);
  }
  for (const [i, { fault }] of reports.entries()) {
    if (fault === null) continue;
    metrics.agentFailures.inc({ pool });
    log.debug({ pool, backend: backends[i]?.id, reason: fault }, "agent did not tell all");
  }
  const findings = backends.map((backend, i) => finding(backend, results[i], reports[i]));
  const transitions = await ledger.observe(pool, findings);
  if (transitions === null) log.debug({ pool }, "pool not in the ledger yet");
  const reasons = new Map(backends.map((backend, i) => [backend.id, results[i]?.reason]));
  for (const transition of transitions ?? []) {
    metrics.transitions.inc({ pool, to: transition.to });
    report(log, pool, transition, reasons.get(transition.backend));
  }
  metrics.sweeps.inc({ pool });
}

/** None for a pool without agents. Takes no longer than a probe may: who has no turn by then is not asked. */
async function askAgents({ agent, probing, backends, tls }: Shard, limit: Limit): Promise<AgentReport[]> {
  if (!agent) return [];
  const deadlineMs = performance.now() + probing.timeoutMs;
  const ask = async ({ url }: Backend): Promise<AgentReport> => {
    const leftMs = deadlineMs - performance.now();
    return leftMs > 0 ? askAgent(url, agent, leftMs, tls) : { metrics: {}, fault: "no turn in time" };
  };
  return Promise.all(backends.map((backend) => limit(() => ask(backend))));
}

/** An agent's fault is none of the backend's: health is a matter of the probe alone. */
function finding({ id, url }: Backend, probed?: ProbeResult, report?: AgentReport): Finding {
  const found = { backend: id, url, ok: probed?.ok ?? false };
  const told = report !== undefined && Object.keys(report.metrics).length > 0;
  return told ? { ...found, metrics: report.metrics } : found;
}

const probe = ({ url }: Backend, { probing, tls }: Shard): Promise<ProbeResult> =>
  probing.protocol === "http"
    ? probeHttp(url, probing.path, probing.timeoutMs, tls)
    : probeTcp(url, probing.timeoutMs);

function report(log: Log, pool: string, { backend, from, to, reason }: Transition, probe?: string): void {
  log[to === "healthy" ? "info" : "warn"]({ pool, backend, from, to, reason, probe }, "health changed");
}
