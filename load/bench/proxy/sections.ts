// The parts of the report on proxies: each measures one thing and answers it as a table with what must be said about it.
import { type Columns, table } from "../report.ts";
import { type ContestOptions, type ContestRow, measureContest } from "./contest.ts";
import type { Cores } from "./machine.ts";
import {
  type GrowthPoint,
  measureGrowth,
  measureSockets,
  measureStreams,
  type PerConnection,
} from "./memory.ts";

export interface ProxySectionOptions {
  /** Short runs: a look, not a measurement. */
  quick: boolean;
  cores: Cores;
  modules: string;
  progress(line: string): void;
}

export interface ProxySection {
  title: string;
  about: string;
  /** Markdown. */
  run(options: ProxySectionOptions): Promise<string>;
}

const CONNECTIONS = 64;
const SMALL_BYTES = 12;
const LARGE_BYTES = 64 * 1024;
const UPLOAD_BYTES = 1024 * 1024;
const FULL = { rounds: 3, warmUpMs: 3_000, roundMs: 4_000 };
const QUICK = { rounds: 2, warmUpMs: 2_000, roundMs: 1_000 };

const MIB = 1024 * 1024;
const GROWTH = {
  full: { requests: 2_000_000, sliceMs: 3_000 },
  quick: { requests: 200_000, sliceMs: 1_000 },
};
/** Past it the run ends with fewer requests, and says so. */
const GROWTH_DEADLINE_MS = 600_000;
/** Less than this is what a heap breathes between two collections, per request of two million. */
const GROWTH_BYTES_MAX = 1;
/** Over fewer, the same breath is more per request than any leak would be. */
const GROWTH_REQUESTS_MIN = 1_000_000;
const SOCKETS = { full: 5_000, quick: 500 };

const contest = (kind: Pick<ContestOptions, "answerBytes" | "bodyBytes">) => ({
  async run({ quick, cores, modules, progress }: ProxySectionOptions): Promise<string> {
    const times = quick ? QUICK : FULL;
    const common = { cores, modules, progress, connections: CONNECTIONS };
    const { rows, notes } = await measureContest({ ...kind, ...times, ...common });
    return `${notes.join(" ")}\n\n${table(COLUMNS, rows)}`;
  },
});

export const PROXY_SECTIONS: Record<string, ProxySection> = {
  small: {
    title: "Small answers",
    about: `GET, ${CONNECTIONS} connections, answers of ${SMALL_BYTES} bytes.`,
    ...contest({ answerBytes: SMALL_BYTES, bodyBytes: 0 }),
  },
  large: {
    title: "Answers of 64 KiB",
    about: `GET, ${CONNECTIONS} connections.`,
    ...contest({ answerBytes: LARGE_BYTES, bodyBytes: 0 }),
  },
  upload: {
    title: "Uploads of 1 MiB",
    about: `POST, ${CONNECTIONS} connections, answers of ${SMALL_BYTES} bytes.`,
    ...contest({ answerBytes: SMALL_BYTES, bodyBytes: UPLOAD_BYTES }),
  },
  memory: {
    title: "Memory over two million requests",
    about: `Small answers over ${CONNECTIONS} connections, static and dynamic route in turn; the gateway's memory after a collection. It has grown when the line through the points rises by ${GROWTH_BYTES_MAX} byte per request or more.`,
    async run({ quick, ...options }) {
      const wanted = { ...(quick ? GROWTH.quick : GROWTH.full), deadlineMs: GROWTH_DEADLINE_MS };
      const { points, heapSlope, rssSlope, cut } = await measureGrowth({ ...wanted, ...options });
      const done = points.at(-1)?.requests ?? 0;
      const tells = done >= GROWTH_REQUESTS_MIN;
      const verdict = heapSlope < GROWTH_BYTES_MAX ? "No growth" : "**Growth**";
      const slopes = `heap and buffers ${heapSlope.toFixed(3)} bytes per request, resident ${rssSlope.toFixed(3)}`;
      const short = cut ? ` The time allowed for ${wanted.requests} requests was not enough.` : "";
      const shown = points.filter(
        (_, i) => i % Math.ceil(points.length / 8) === 0 || i === points.length - 1,
      );
      return `${tells ? verdict : "Too short to tell of growth"} over ${done} requests: ${slopes}.${short}\n\n${table(GROWTH_COLUMNS, shown)}`;
    },
  },
  streams: {
    title: "Memory of a large body",
    about:
      "Bodies of 20 MiB whose receiver does not read: what the gateway holds of each. The bound is 2 MiB more per stream.",
    run: async (options) => perConnection(await measureStreams(options), 2 * MIB, "MiB", MIB),
  },
  sockets: {
    title: "Idle WebSockets",
    about: "Open and silent. The bound is 20 KiB each in the gateway's heap.",
    async run({ quick, ...options }) {
      const rows = await measureSockets(quick ? SOCKETS.quick : SOCKETS.full, options);
      return perConnection(rows, 20 * 1024, "KiB", 1024);
    },
  },
};

const GROWTH_COLUMNS: Columns<GrowthPoint> = [
  ["requests", ({ requests }) => String(requests)],
  ["heap, MiB", ({ memory }) => (memory.heapUsed / MIB).toFixed(2)],
  ["buffers, MiB", ({ memory }) => (memory.external / MIB).toFixed(2)],
  ["resident, MiB", ({ memory }) => (memory.rss / MIB).toFixed(1)],
];

function perConnection(rows: readonly PerConnection[], bound: number, unit: string, bytes: number): string {
  const cell = (value: number) => (value / bytes).toFixed(2);
  const held = ({ heap, external }: PerConnection) => heap + external;
  const columns: Columns<PerConnection> = [
    ["of each", ({ kind }) => kind],
    ["at once", ({ count }) => String(count)],
    [`heap, ${unit}`, (row) => cell(row.heap)],
    [`buffers, ${unit}`, (row) => cell(row.external)],
    [`resident, ${unit}`, (row) => cell(row.rss)],
    ["within the bound", (row) => (held(row) <= bound ? "yes" : "**no**")],
  ];
  return table(columns, rows);
}

const COLUMNS: Columns<ContestRow> = [
  ["proxy", (row) => row.name],
  ["CPU µs per request", (row) => row.cpuUs.toFixed(1)],
  ["÷ nginx", (row) => number(row.ofNginx)],
  ["÷ @fastify/http-proxy", (row) => number(row.ofFastify)],
  ["requests/s", (row) => row.perSecond.toFixed(0)],
  ["p50 / p99 at half of that, ms", (row) => `${number(row.p50Ms)} / ${number(row.p99Ms)}`],
  ["p99 ÷ nginx", (row) => number(row.p99OfNginx)],
  ["scheduler / Redis, µs", (row) => helpers(row.helpersUs)],
];

const number = (value: number): string => (Number.isNaN(value) ? "–" : value.toFixed(2));

const helpers = (us: ContestRow["helpersUs"]): string =>
  us === null ? "–" : `${us.scheduler.toFixed(1)} / ${us.redis.toFixed(1)}`;
