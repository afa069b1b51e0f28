import { describe, expect, it } from "vitest";
import { combine, countsOf, createMetrics, type MetricsSnapshot, takeSnapshot } from "./metrics.ts";

const shown = async (metrics: ReturnType<typeof createMetrics>, name: string) =>
  (await metrics.registry.getSingleMetricAsString(name)).split("\n");

describe("a family of counters", () => {
  it("shows each of its children as a series, and the same child for the same labels", async () => {
    const metrics = createMetrics();
    const family = metrics.counterFamily("requests_total", "Requests");
    family.child({ route: "a", code: "2xx" }).value += 2;
    family.child({ code: "2xx", route: "a" }).value += 1;
    family.child({ route: "b", code: "5xx" }).value += 1;
    expect(await shown(metrics, "requests_total")).toEqual([
      "# HELP requests_total Requests",
      "# TYPE requests_total counter",
      'requests_total{route="a",code="2xx"} 3',
      'requests_total{route="b",code="5xx"} 1',
    ]);
  });

  it("no longer shows what was removed, whoever still counts it", async () => {
    const metrics = createMetrics();
    const family = metrics.counterFamily("requests_total", "Requests");
    const child = family.child({ route: "a" });
    family.remove({ route: "a" });
    child.value += 1;
    expect(await shown(metrics, "requests_total")).toHaveLength(2);
    expect(family.child({ route: "a" }).value).toBe(0);
  });
});

describe("a family of histograms", () => {
  it("shows cumulative buckets, with a value on a bound in the bucket of that bound, the sum and the count", async () => {
    const metrics = createMetrics();
    const child = metrics.histogramFamily("seconds", "Time", [1, 2]).child({ route: "a" });
    for (const value of [0.5, 1, 1.5, 3]) child.observe(value);
    expect(await shown(metrics, "seconds")).toEqual([
      "# HELP seconds Time",
      "# TYPE seconds histogram",
      'seconds_bucket{le="1",route="a"} 2',
      'seconds_bucket{le="2",route="a"} 3',
      'seconds_bucket{le="+Inf",route="a"} 4',
      'seconds_sum{route="a"} 6',
      'seconds_count{route="a"} 4',
    ]);
  });

  it("stands beside other metrics in what is scraped", async () => {
    const metrics = createMetrics();
    metrics.histogramFamily("seconds", "Time", [1]).child({ route: 'a"\\b' }).observe(0.1);
    metrics.counter("others_total", "Others").inc();
    const text = await metrics.registry.metrics();
    expect(text).toContain('seconds_count{route="a\\"\\\\b"} 1');
    expect(text).toContain("others_total 1");
  });
});

describe("the metrics of several processes", () => {
  const oneProcess = (requests: number, open: number) => {
    const metrics = createMetrics();
    metrics.counterFamily("requests_total", "Requests").child({ route: "a" }).value += requests;
    metrics.histogramFamily("seconds", "Time", [1]).child({ route: "a" }).observe(requests);
    metrics.histogram("settle_seconds", "Time", [1]).observe(0.5);
    metrics.gauge("open", "Connections").set(open);
    metrics.gauge("alone", "1 while alone", [], "max").set(open > 1 ? 1 : 0);
    metrics.gauge("expiry", "Seconds", [], "min").set(open);
    return metrics;
  };
  /** As it comes out of a channel between processes. */
  const sent = async (metrics: ReturnType<typeof createMetrics>) =>
    JSON.parse(JSON.stringify(await takeSnapshot(metrics))) as MetricsSnapshot;

  it("are those of one: counts and what is open added up, states by the one that matters", async () => {
    const all = await Promise.all([sent(oneProcess(2, 1)), sent(oneProcess(1, 3)), sent(createMetrics())]);
    const lines = (await combine(all).metrics()).split("\n");
    for (const line of [
      'requests_total{route="a"} 3',
      'seconds_bucket{le="1",route="a"} 1',
      'seconds_bucket{le="+Inf",route="a"} 2',
      'seconds_sum{route="a"} 3',
      'seconds_count{route="a"} 2',
      'settle_seconds_bucket{le="1"} 2',
      "settle_seconds_count 2",
      "open 4",
      "alone 1",
      "expiry 1",
    ])
      expect(lines).toContain(line);
    expect(lines.filter((line) => line === "# TYPE seconds histogram")).toHaveLength(1);
  });

  it("keep of a process that is gone what it has counted, and not what it had open", async () => {
    const gone = countsOf(await sent(oneProcess(2, 1)));
    const again = await combine([gone, countsOf(await sent(oneProcess(5, 1)))]).getMetricsAsJSON();
    const text = await combine([await sent(oneProcess(1, 3)), again]).metrics();
    expect(text).toContain('requests_total{route="a"} 8');
    expect(text).toContain('seconds_count{route="a"} 3');
    expect(text).toContain("\nopen 3\n");
  });
});
