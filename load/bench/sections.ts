// The parts of the report: each measures one thing and answers it as a table.

import { measureFleet } from "./fleet.ts";
import { type HopRow, measureHop } from "./hop.ts";
import { type CoreRow, measureRedisCore } from "./redis-core.ts";
import { type Columns, table } from "./report.ts";

export interface SectionOptions {
  /** Short runs: a look, not a measurement. */
  quick: boolean;
  concurrencies: readonly number[];
  progress(line: string): void;
}

export interface Section {
  title: string;
  about: string;
  /** Markdown. */
  run(options: SectionOptions): Promise<string>;
}

const HOP_BACKENDS = 10;
const FLEET = { gateways: [1, 16], backends: 40, serviceMs: 250, load: 0.7, seed: 20_261_122 };

export const SECTIONS: Record<string, Section> = {
  core: {
    title: "One Redis core",
    about:
      "The ledger's `settle` beside a bare pipelined `ZINCRBY` in the same run. A batch wants so many backends, releases as many as the one before it was given and reports their outcomes. “of ZINCRBY” compares decisions per second of Redis's processor time; above 1, a decision with its release costs less than one bare command.",
    async run({ quick, progress }) {
      const rows = await measureRedisCore({ rounds: quick ? 3 : 7, sliceMs: quick ? 100 : 250, progress });
      return table(CORE_COLUMNS, rows);
    },
  },
  hop: {
    title: "The whole hop",
    about:
      "Gateway → scheduler → Redis → back, with one gateway, one scheduler, ten backends, everything and the client on the same two cores. “added”: a dynamic route beyond a static one, in rounds that take turns. Processor time is per decision; the gateway's client is its part that asks and states, in a process of its own.",
    async run({ quick, concurrencies, progress }) {
      const [rounds, roundMs] = quick ? [3, 1_000] : [5, 2_000];
      const rows = await measureHop({ rounds, roundMs, concurrencies, backends: HOP_BACKENDS, progress });
      return table(HOP_COLUMNS, rows);
    },
  },
  fleet: {
    title: "One gateway or sixteen",
    about:
      "The same requests, one by one, through one gateway and through sixteen, to forty backends that serve four at once (a quarter of them half as fast, at half the weight), exponential service, load 0.7. Real processes; medians of the rounds.",
    async run({ quick, progress }) {
      const [rounds, roundMs] = quick ? [1, 20_000] : [3, 25_000];
      const rows = await measureFleet({ ...FLEET, rounds, roundMs, progress });
      return table(
        [
          ["gateways", (row) => String(row.gateways)],
          ["requests", (row) => String(row.requests)],
          ["p50, ms", (row) => row.p50Ms.toFixed(0)],
          ["p99, ms", (row) => row.p99Ms.toFixed(0)],
          ["p99 ÷ one gateway's in the same round", (row) => row.p99Ratio.toFixed(2)],
        ],
        rows,
      );
    },
  },
};

const CORE_COLUMNS: Columns<CoreRow> = [
  ["policy", (row) => row.policy],
  ["backends", (row) => String(row.backends)],
  ["wants per batch", (row) => String(row.wants)],
  ["Redis, µs per decision", (row) => row.cpuUs.toFixed(2)],
  ["decisions/s", (row) => String(Math.round(row.perSecond / 100) * 100)],
  ["Redis busy", (row) => `${Math.round(row.busy * 100)} %`],
  ["of ZINCRBY", (row) => row.ofZincrby.toFixed(2)],
];

const HOP_COLUMNS: Columns<HopRow> = [
  ["requests at once", (row) => String(row.concurrency)],
  ["static p50 / p99, ms", (row) => `${ms(row.static.p50Ms)} / ${ms(row.static.p99Ms)}`],
  ["dynamic p50 / p99, ms", (row) => `${ms(row.dynamic.p50Ms)} / ${ms(row.dynamic.p99Ms)}`],
  ["added p50 / p99, ms", (row) => `${ms(row.added.p50Ms)} / ${ms(row.added.p99Ms)}`],
  [
    "requests/s static / dynamic",
    (row) => `${row.static.perSecond.toFixed(0)} / ${row.dynamic.perSecond.toFixed(0)}`,
  ],
  ["wants per settle", (row) => row.wantsPerSettle.toFixed(1)],
  ["client's pick p50, ms", (row) => ms(row.pickP50Ms)],
  ["gateway (dynamic − static), µs", (row) => row.cpuUs.gateway.toFixed(1)],
  ["gateway's client, µs", (row) => row.cpuUs.client.toFixed(1)],
  ["scheduler, µs", (row) => row.cpuUs.scheduler.toFixed(1)],
  ["Redis, µs", (row) => row.cpuUs.redis.toFixed(1)],
];

const ms = (value: number) => value.toFixed(2);
