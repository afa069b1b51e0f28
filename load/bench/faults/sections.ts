// The parts of the report on faults: each measures one thing and answers it as a table.
import { type Columns, table } from "../report.ts";
import { EVENT_CASES, type EventsRow, holds, measureEvents } from "./events.ts";
import { atMost, type Buckets, countOf } from "./histogram.ts";
import type { Kind, KindResult } from "./kind.ts";
import { KINDS } from "./kinds.ts";
import type { Lateness } from "./lateness.ts";
import { measurePanic, measureUnprobed, resumeMonitors } from "./outages.ts";
import { BACK_MAX_MS, runKind } from "./run-kind.ts";
import { BACKENDS, GATEWAYS, openWorld, PER_SECOND, ROUTES, SERVICE_MS, type World } from "./world.ts";

export interface FaultSectionOptions {
  /** Short runs: a look, not a measurement. */
  quick: boolean;
  progress(line: string): void;
  /** For the logs of the services at the end of each cluster. */
  log(text: string): void;
}

export interface FaultSection {
  title: string;
  about: string;
  /** What it can measure, each by itself too. */
  names: readonly string[];
  /** Markdown. */
  run(names: readonly string[], options: FaultSectionOptions): Promise<string>;
}

interface KindRow {
  kind: Kind;
  result: KindResult;
}

const withWorld = async <T>(
  { progress, log }: FaultSectionOptions,
  use: (world: World) => Promise<T>,
): Promise<T> => {
  progress("starting a cluster");
  const world = await openWorld();
  try {
    return await use(world);
  } finally {
    log(world.cluster.log());
    progress("stopping it");
    await world.stop();
  }
};

export const FAULT_SECTIONS: readonly FaultSection[] = [
  {
    title: "One backend fails",
    about: `${PER_SECOND} GET/s, sent when due whatever the answers do, spread over ${GATEWAYS} gateways; ${BACKENDS} backends that take ${SERVICE_MS} ms; 2 schedulers, 2 health-monitors, one Redis. Probes: http, \`intervalMs: 1000, timeoutMs: 500, rise: 2, fall: 3\`. The pool has \`eject.statuses: ["500-599"]\`, the route \`retryStatuses: ["500-599"]\` and, unless the row says else, \`timeouts.responseHeadersMs: ${ROUTES.usual}\`. Times of picks are seen every 15 ms at each gateway; times of health are Redis's.`,
    names: Object.keys(KINDS),
    run: (names, options) =>
      withWorld(options, async (world) => {
        const rows: KindRow[] = [];
        for (const name of names) {
          const kind = KINDS[name] as Kind;
          rows.push({ kind, result: await runKind(world, kind, options) });
        }
        return table(KIND_COLUMNS, rows);
      }),
  },
  {
    title: "Nobody probes, or all backends fail",
    about: "The same cluster and load. Nobody does anything about it.",
    names: ["monitors", "panic"],
    run: (names, options) =>
      withWorld(options, async (world) => {
        const parts: string[] = [];
        if (names.includes("monitors")) parts.push(await withoutMonitors(world, options));
        if (names.includes("panic")) parts.push(await inPanic(world, options));
        return parts.join("\n\n");
      }),
  },
  {
    title: "Until every gateway knows",
    about: `From a change of a backend's health, by Redis's clock, to each of the ${GATEWAYS} gateways knowing it: upper borders of \`evenkeel_gateway_health_seen_seconds\`. Half of ${BACKENDS} backends leave and return by probes (\`intervalMs: 200, rise: 1, fall: 1\`). “By a read”: an answer to a settle told of a newer version before the event did, or without it.`,
    names: Object.keys(EVENT_CASES),
    run: async (names, options) => table(EVENT_COLUMNS, await measureEvents(names, options)),
  },
];

export const namesOfSections = (): string[] => FAULT_SECTIONS.flatMap(({ names }) => names);

async function withoutMonitors(world: World, options: FaultSectionOptions): Promise<string> {
  const { progress } = options;
  try {
    const { alarmMs, changes, failures, unprobedMs } = await measureUnprobed(world, progress);
    const killed = { ...(KINDS.killed as Kind), title: "killed (`kill -9`), no health-monitor alive" };
    const rows = [{ kind: killed, result: await runKind(world, killed, options) }];
    const seconds = (unprobedMs / 1_000).toFixed(1);
    return `All health-monitors stopped: \`evenkeel_members{role="health-monitor"}\` is 0 after ${ms(alarmMs)} ms; in ${seconds} s ${changes} changes of health, failed responses: ${failures}. Then, still without them:\n\n${table(KIND_COLUMNS, rows)}`;
  } finally {
    progress("all health-monitors go on");
    await resumeMonitors(world);
  }
}

async function inPanic(world: World, { progress }: FaultSectionOptions): Promise<string> {
  const result = await measurePanic(world, progress);
  const columns: Columns<typeof result> = [
    ["all backends answer 500: panic on every gateway, ms", ({ panicMs }) => ms(panicMs)],
    ["all well again: last failed response, ms", ({ lastFailureMs }) => ms(lastFailureMs)],
    ["failed responses since", ({ failedAfter }) => failedAfter],
    ["all healthy, ms", ({ healthyMs }) => ms(healthyMs)],
    ["no gateway in panic, ms", ({ calmMs }) => ms(calmMs)],
  ];
  return table(columns, [result]);
}

const KIND_COLUMNS: Columns<KindRow> = [
  ["fault", ({ kind }) => kind.title],
  ["requests", ({ result }) => String(result.requests)],
  ["failed responses", ({ result }) => result.failuresInWords],
  ["picks that met it", ({ kind, result }) => (kind.shunned ? String(result.picks) : "–")],
  [
    "last pick, ms after the fault / the first failure",
    ({ kind, result }) =>
      kind.shunned ? `${ms(result.lastPickMs)} / ${ms(result.lastPickAfterFailureMs)}` : "–",
  ],
  ["unhealthy, ms after the fault", outCell],
  ["healthy / first pick, ms after it was lifted", backCell],
  ["p99 before / during, ms", ({ result: { p99Ms } }) => `${ms(p99Ms.before)} / ${ms(p99Ms.during)}`],
  ["timers late, p99 / most, ms", ({ result }) => lateCell(result.late)],
  ["bound", ({ kind, result }) => boundCell(kind, result)],
];

const EVENT_COLUMNS: Columns<EventsRow> = [
  ["pub/sub", (row) => row.case.title],
  ["GET/s", (row) => String(row.case.perSecond)],
  ["changes × gateways", ({ all }) => String(countOf(all))],
  ["p50 / p99 / all within, ms", ({ all }) => borders(all)],
  ["by the event: how many; p50 / p99 / all", ({ byEvent }) => told(byEvent)],
  ["by a read: how many; p50 / p99 / all", ({ byRead }) => told(byRead)],
  ["timers late, p99 / most, ms", ({ late }) => lateCell(late)],
  [
    "bound",
    (row) => {
      const { share, seconds } = row.case.bound;
      const text = `${share === 1 ? "all" : `p${share * 100}`} ≤ ${seconds * 1_000} ms`;
      return `${text}: ${verdict(holds(row))}`;
    },
  ],
];

const ms = (value: number | null): string => (value === null || Number.isNaN(value) ? "–" : value.toFixed(0));

const lateCell = ({ p99Ms, maxMs }: Lateness): string => `${ms(p99Ms)} / ${ms(maxMs)}`;

const verdict = (held: boolean): string => (held ? "holds" : "**does not hold**");

const borders = (buckets: Buckets): string =>
  [0.5, 0.99, 1].map((share) => ms(atMost(buckets, share) * 1_000)).join(" / ");

const told = (buckets: Buckets): string =>
  countOf(buckets) === 0 ? "0" : `${countOf(buckets)}; ${borders(buckets)}`;

function outCell({ result: { outMs, outBy, outsMs, share } }: KindRow): string {
  const percent = (part: number) => `${(part * 100).toFixed(1)} %`;
  if (outMs === null) return `stays in; its share ${percent(share.before)} → ${percent(share.during)}`;
  const seconds = outsMs.map((one) => (one / 1_000).toFixed(1)).join(", ");
  return `${ms(outMs)} (${outBy})${outsMs.length > 1 ? `; out for ${seconds} s` : ""}`;
}

function backCell({ result: { healthyMs, firstPickMs } }: KindRow): string {
  const late = `> ${BACK_MAX_MS}`;
  return `${healthyMs === null ? late : ms(healthyMs)} / ${firstPickMs === null ? late : ms(firstPickMs)}`;
}

const boundCell = ({ bound }: Kind, result: KindResult): string =>
  bound === null ? "–" : `${bound.text}: ${verdict(bound.holds(result))}`;
