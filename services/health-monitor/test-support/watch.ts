// Backends as the pacer knows them, with probes that a test answers for.
import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import type { AgentReport } from "../probes/ask-agent.ts";
import type { ProbeResult } from "../probes/attempt.ts";
import { type Watched, watchedOf } from "../sweep/watched.ts";

export interface WatchOptions {
  health?: object;
  probe?: () => Promise<ProbeResult>;
  ask?: () => Promise<AgentReport>;
}

/** @param ids of the backends of one pool */
export function watch(ids: readonly string[], { health, probe, ask }: WatchOptions = {}): Watched[] {
  const pool = resolvePool({
    name: "shop",
    backends: ids.map((id, i) => ({ id, url: `http://127.0.0.1:${i + 1}` })),
    health: { protocol: "tcp", intervalMs: 1_000, timeoutMs: 500, jitterPercent: 0, ...health },
  });
  return [...watchedOf([pool], new Map()).values()].map((one) => ({
    ...one,
    probe: probe ?? (() => Promise.resolve({ ok: true, latencyMs: 1, reason: "fine" })),
    ask: ask ?? null,
  }));
}
