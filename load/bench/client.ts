// The part of a gateway that asks for decisions, alone in a process: what it costs without the proxying around it.
// Keeps a number of requests open, each for a few milliseconds after its pick, and says over IPC what that took.
import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import type { Pick } from "../../services/gateway/scheduling/scheduling.ts";
import { createScheduling } from "../../services/gateway/scheduling/settle-client.ts";

/** What a request takes in the gateway and its backend when 100 are open; measured by the rounds through the gateway. */
const HOLD_MS = 3;
const TICK_MS = 1;
const WARM_UP_MS = 3_000;

export interface ClientTask {
  scheduler: string;
  pool: Parameters<typeof resolvePool>[0];
  concurrency: number;
  durationMs: number;
}

export interface ClientResult {
  decisions: number;
  /** Made without the scheduler. */
  alone: number;
  cpuUs: number;
  /** From asking to the pick. */
  p50Ms: number;
}

async function run({ scheduler, pool, concurrency, durationMs }: ClientTask): Promise<ClientResult> {
  const scheduling = createScheduling({
    gatewayId: `bench.${process.pid}`,
    schedulers: () => [scheduler],
    token: "",
    metrics: createMetrics(),
    log: createLog("silent", { role: "gateway", id: "bench" }),
    clock: () => performance.now(),
    now: Date.now,
    random: Math.random,
  });
  scheduling.setPools([resolvePool(pool)]);
  const open: { pick: Pick; untilMs: number }[] = [];
  let took: number[] = [];
  let alone = 0;
  const ask = () => {
    const askedMs = performance.now();
    scheduling.acquire(pool.name, {}, (pick) => {
      const nowMs = performance.now();
      took.push(nowMs - askedMs);
      if (pick?.source !== "scheduler") alone += 1;
      if (pick) open.push({ pick, untilMs: nowMs + HOLD_MS });
    });
  };
  const tick = setInterval(() => {
    const nowMs = performance.now();
    let over = 0;
    while (over < open.length && (open[over]?.untilMs ?? 0) <= nowMs) over += 1;
    for (const { pick } of open.splice(0, over)) scheduling.release(pick, "success", HOLD_MS);
    for (let i = 0; i < over; i += 1) ask();
  }, TICK_MS);
  for (let i = 0; i < concurrency; i += 1) ask();

  await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS));
  took = [];
  alone = 0;
  const before = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, durationMs));
  const { user, system } = process.cpuUsage(before);
  const sorted = took.toSorted((a, b) => a - b);
  clearInterval(tick);
  for (const { pick } of open) scheduling.release(pick, "success", HOLD_MS);
  await scheduling.stop();
  const decisions = sorted.length;
  return {
    decisions,
    alone,
    cpuUs: (user + system) / decisions,
    p50Ms: sorted[decisions >> 1] ?? Number.NaN,
  };
}

process.once("message", (task: ClientTask) => {
  void run(task).then((result) => process.send?.(result, () => process.exit(0)));
});
process.on("disconnect", () => process.exit(0));
