// npm run bench:probes [-- --kill --profile --write --seconds N --backends N --monitors N]: how punctual probing is and
// what it costs, as a table. Progress goes to standard error, so that standard output is the report alone.
import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { withMeasured } from "../measured.ts";
import { type ProbesCluster, type ProbesPlan, startProbesCluster } from "./probes-cluster.ts";
import { machine } from "./report.ts";

const PAGE = new URL("../../docs/performance.md", import.meta.url);
const COMMAND = "npm run bench:probes -- --write";
const INTERVAL_MS = 1_000;
const WARM_UP_MS = 6_000;
/** After a monitor was killed, the time in which every backend must be probed again and again. */
const AFTER_KILL_MS = 8_000;

const { values } = parseArgs({
  options: {
    kill: { type: "boolean", default: false },
    profile: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    seconds: { type: "string", default: "30" },
    backends: { type: "string", default: "5000" },
    monitors: { type: "string", default: "2" },
  },
});
const progress = (line: string) => process.stderr.write(`${line}\n`);
const plan: ProbesPlan = {
  pools: 5,
  backends: Number(values.backends),
  monitors: Number(values.monitors),
  intervalMs: INTERVAL_MS,
  pauses: false,
  execArgv: values.profile ? ["--cpu-prof", "--cpu-prof-dir=/tmp/evenkeel-probes"] : [],
};

const parts = [`On ${machine()}, ${new Date().toISOString().slice(0, 10)}.`];
if (!values.kill || values.write) parts.push(await inCluster(plan, measurePunctuality));
if (values.kill || values.write) parts.push(await inCluster({ ...plan, pauses: true }, measureKill));
const report = parts.join("\n\n");
process.stdout.write(`${report}\n`);
if (values.write) writeFileSync(PAGE, withMeasured(readFileSync(PAGE, "utf8"), COMMAND, report));

async function inCluster(
  wanted: ProbesPlan,
  measure: (cluster: ProbesCluster) => Promise<string>,
): Promise<string> {
  progress(`starting ${wanted.monitors} monitors for ${wanted.backends} backends`);
  const cluster = await startProbesCluster(wanted);
  try {
    await delay(WARM_UP_MS);
    return await measure(cluster);
  } finally {
    await cluster.stop();
  }
}

async function measurePunctuality(cluster: ProbesCluster): Promise<string> {
  progress(`probing for ${values.seconds} s`);
  const before = await read(cluster);
  const startedMs = performance.now();
  await delay(Number(values.seconds) * 1_000);
  const seconds = (performance.now() - startedMs) / 1_000;
  const after = await read(cluster);
  const used = (key: keyof typeof after) => after[key] - before[key];
  const due = (plan.backends * seconds * 1_000) / INTERVAL_MS;
  const share = (part: number, whole: number) => `${((100 * part) / whole).toFixed(2)} %`;
  const us = (cpuS: number) => `${((cpuS / used("probes")) * 1e6).toFixed(0)} µs`;
  return rows([
    ["backends, each probed every second, by monitors", `${plan.backends}, ${plan.monitors}`],
    ["probes", `${used("probes")} (${share(used("probes"), due)} of those due)`],
    ["started within 10 ms of their due time", share(used("within10"), used("started"))],
    ["started within 100 ms, a tenth of the interval", share(used("within100"), used("started"))],
    ["not made, or not believed", String(used("skipped"))],
    ["bad", String(used("bad"))],
    ["findings not recorded", String(used("dropped"))],
    ["processor time of the monitors per probe", us(used("monitorCpuS"))],
    ["of Redis per probe", us(used("redisCpuS"))],
    ["of the backends' process per probe", us(used("backendCpuS"))],
    [
      "monitors, Redis and backends together",
      `${((used("monitorCpuS") + used("redisCpuS") + used("backendCpuS")) / seconds).toFixed(2)} cores`,
    ],
  ]);
}

async function read(cluster: ProbesCluster) {
  const inMonitors = await Promise.all(cluster.monitors.map(({ metrics }) => metrics()));
  const sum = (start: string) => inMonitors.reduce((total, metric) => total + metric(start), 0);
  const lag = "evenkeel_monitor_probe_lag_seconds";
  return {
    probes: sum("evenkeel_monitor_probes_total"),
    bad: inMonitors.reduce(
      (total, metric) =>
        total +
        [0, 1, 2, 3, 4].reduce(
          (all, p) => all + metric(`evenkeel_monitor_probes_total{pool="pool-${p}",result="bad"}`),
          0,
        ),
      0,
    ),
    started: sum(`${lag}_count`),
    within10: sum(`${lag}_bucket{le="0.01"}`),
    within100: sum(`${lag}_bucket{le="0.1"}`),
    skipped: sum("evenkeel_monitor_probes_skipped_total"),
    dropped: sum("evenkeel_monitor_findings_dropped_total"),
    monitorCpuS: sum("evenkeel_process_cpu_seconds_total"),
    redisCpuS: await cluster.redisCpuS(),
    backendCpuS: (await cluster.askBackends("report")).cpuS,
  };
}

async function measureKill(cluster: ProbesCluster): Promise<string> {
  await cluster.askBackends("reset");
  progress("killing one monitor");
  cluster.monitors[0]?.child.kill("SIGKILL");
  await delay(AFTER_KILL_MS);
  const { longestPausesMs } = await cluster.askBackends("report");
  cluster.monitors.shift();
  const sorted = longestPausesMs.toSorted((a, b) => a - b);
  const at = (share: number) =>
    `${((sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN) / 1_000).toFixed(2)} s`;
  const probed = await cluster.probedMs();
  return rows([
    ["one of the monitors killed; backends that were probed", String(sorted.length)],
    ["longest time without a probe: median, p99, largest", `${at(0.5)}, ${at(0.99)}, ${at(1)}`],
    [
      "recorded in the ledger within the last 3 intervals, at the end",
      String(probed.filter((ms) => ms !== null && Date.now() - ms < 3 * INTERVAL_MS).length),
    ],
  ]);
}

function rows(cells: readonly (readonly [string, string])[]): string {
  const lines = cells.map(([what, value]) => `| ${what} | ${value} |`);
  return ["| what | measured |", "| --- | ---: |", ...lines].join("\n");
}
