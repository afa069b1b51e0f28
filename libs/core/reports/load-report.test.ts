import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { METRIC_VALUE_MAX } from "../ledger/ledger.ts";
import { parseLoadReport } from "./load-report.ts";

const wanted = new Set(["cpu_utilization", "named_metrics.queue", "request_cost.tokens", "eps"]);
const parse = (text: string) => parseLoadReport(text, wanted);

describe("a load report", () => {
  it.each([
    ["TEXT cpu_utilization=0.3, named_metrics.queue=4", { cpu_utilization: 0.3, "named_metrics.queue": 4 }],
    ["TEXT cpu_utilization:0.3,mem_utilization:0.9", { cpu_utilization: 0.3 }],
    ["cpu_utilization=3e-1", { cpu_utilization: 0.3 }],
    [
      "eps=-1.5E+2,cpu_utilization=.5,named_metrics.queue=+4.",
      { eps: -150, cpu_utilization: 0.5, "named_metrics.queue": 4 },
    ],
    [`TEXT eps=1${",a=1".repeat(300)}`, { eps: 1 }],
    [`TEXT ${"a=1,".repeat(255)}eps=1`, { eps: 1 }],
    [`TEXT eps=${METRIC_VALUE_MAX}`, { eps: METRIC_VALUE_MAX }],
    [
      'JSON {"cpu_utilization": 0.3, "named_metrics": {"queue": 4, "other": 1}, "rps_fractional": 10}',
      { cpu_utilization: 0.3, "named_metrics.queue": 4 },
    ],
    [
      'JSON {"cpuUtilization": 0.3, "requestCost": {"tokens": 12}}',
      { cpu_utilization: 0.3, "request_cost.tokens": 12 },
    ],
    ["JSON {}", {}],
    ["TEXT mem_utilization=0.5", {}],
    ['JSON {"rps": "12"}', {}],
  ])("%s gives what is wanted of it", (text, metrics) => {
    expect(parse(text)).toEqual(metrics);
  });

  it.each([
    "TEXT ",
    "TEXT cpu_utilization",
    "TEXT cpu_utilization=",
    "TEXT =1",
    "TEXT cpu_utilization=high",
    "TEXT cpu_utilization=NaN",
    "TEXT cpu_utilization=Infinity",
    "TEXT eps=1e13",
    "TEXT eps=0x10",
    "TEXT eps=0b1",
    "TEXT eps=0o7",
    `TEXT ${"a=1,".repeat(256)}eps=1`,
    `TEXT eps=1,${"a=1,".repeat(300)} eps : 2`,
    "JSON",
    "JSON [1]",
    "JSON null",
    'JSON {"cpu_utilization": "0.3"}',
    'JSON {"cpu_utilization": 0.3',
    'JSON {"named_metrics": {"queue": null}}',
    "BIN CAE=",
    `TEXT cpu_utilization=1,${"x".repeat(4_096)}=1`,
  ])("%s cannot be read", (text) => {
    expect(parse(text)).toBeNull();
  });

  it("never gives anything but finite numbers under wanted names, whatever a backend sends", () => {
    const texts = fc.oneof(
      fc.string(),
      fc.json().map((text) => `JSON ${text}`),
      fc.string().map((text) => `TEXT ${text}`),
      fc.double().map((value) => `TEXT eps=${value}`),
      fc.double().map((value) => `JSON {"eps":${value}}`),
    );
    fc.assert(
      fc.property(texts, (text) => {
        for (const [name, value] of Object.entries(parse(text) ?? {})) {
          expect(wanted.has(name)).toBe(true);
          expect(Math.abs(value)).toBeLessThanOrEqual(METRIC_VALUE_MAX);
        }
      }),
    );
  });
});
