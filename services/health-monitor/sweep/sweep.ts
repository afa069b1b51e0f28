// One sweep: every backend of a shard is probed at once, whatever its mode, and all findings reach the ledger in
// one atomic step, which answers what they changed.
import type { Backend, Probing } from "@evenkeel/core/config/resolve.ts";
import type { Ledger, Transition } from "@evenkeel/core/ledger/ledger.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { MonitorMetrics } from "../metrics.ts";
import type { ProbeResult } from "../probes/attempt.ts";
import { probeHttp } from "../probes/probe-http.ts";
import { probeTcp } from "../probes/probe-tcp.ts";
import type { Limit } from "./limit.ts";
import type { Shard } from "./shards.ts";

export interface SweepContext {
  ledger: Pick<Ledger, "observe">;
  /** Shared by all sweeps of the process. */
  limit: Limit;
  metrics: MonitorMetrics;
  log: Log;
}

/** @throws when the ledger cannot be reached; the findings are lost then, and the next sweep has newer ones */
export async function sweep(shard: Shard, { ledger, limit, metrics, log }: SweepContext): Promise<void> {
  const { pool, probing, backends } = shard;
  const results = await Promise.all(backends.map((backend) => limit(() => probe(backend, probing))));
  for (const { ok, latencyMs } of results) {
    metrics.probes.inc({ pool, result: ok ? "good" : "bad" });
    metrics.probeSeconds.observe(latencyMs / 1_000);
  }
  const findings = backends.map((backend, i) => ({
    backend: backend.id,
    url: backend.url,
    ok: results[i]?.ok ?? false,
  }));
  const transitions = await ledger.observe(pool, findings);
  if (transitions === null) log.debug({ pool }, "pool not in the ledger yet");
  const reasons = new Map(backends.map((backend, i) => [backend.id, results[i]?.reason]));
  for (const transition of transitions ?? []) {
    metrics.transitions.inc({ pool, to: transition.to });
    report(log, pool, transition, reasons.get(transition.backend));
  }
  metrics.sweeps.inc({ pool });
}

const probe = (backend: Backend, { protocol, path, timeoutMs }: Probing): Promise<ProbeResult> =>
  protocol === "http" ? probeHttp(backend.url, path, timeoutMs) : probeTcp(backend.url, timeoutMs);

function report(log: Log, pool: string, { backend, from, to, reason }: Transition, probe?: string): void {
  log[to === "healthy" ? "info" : "warn"]({ pool, backend, from, to, reason, probe }, "health changed");
}
