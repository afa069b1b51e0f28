// Prometheus metrics. Labels are bounded: ids and names out of the configuration, never paths, hosts or addresses.
import {
  AggregatorRegistry,
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from "prom-client";
import {
  type CounterChild,
  counterFamily,
  type Family,
  type HistogramChild,
  histogramFamily,
} from "./metric-families.ts";

/** What a gauge is over several processes of one replica. Where some of them say 1, `max` says that some do. */
export type Across = "sum" | "max" | "min";

export interface Metrics {
  registry: Registry;
  counter<L extends string>(name: string, help: string, labels?: readonly L[]): Counter<L>;
  gauge<L extends string>(name: string, help: string, labels?: readonly L[], across?: Across): Gauge<L>;
  histogram<L extends string>(
    name: string,
    help: string,
    buckets: number[],
    labels?: readonly L[],
  ): Histogram<L>;
  /** For the path of a request. */
  counterFamily(name: string, help: string): Family<CounterChild>;
  histogramFamily(name: string, help: string, bounds: readonly number[]): Family<HistogramChild>;
}

/** Seconds; from a loopback answer to a slow page. */
export const LATENCY_BUCKETS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: "evenkeel_" });
  const registers = [registry];
  return {
    registry,
    counter: (name, help, labels = []) => new Counter({ name, help, labelNames: [...labels], registers }),
    gauge: (name, help, labels = [], across = "sum") =>
      new Gauge({ name, help, labelNames: [...labels], registers, aggregator: across }),
    histogram: (name, help, buckets, labels = []) =>
      new Histogram({ name, help, buckets, labelNames: [...labels], registers }),
    counterFamily: (name, help) => counterFamily(registry, name, help),
    histogramFamily: (name, help, bounds) => histogramFamily(registry, name, help, bounds),
  };
}

/** What one process has counted, as it can be told to another. */
export type MetricsSnapshot = MetricObjectWithValues<MetricValue<string>>[];

export const takeSnapshot = ({ registry }: Metrics): Promise<MetricsSnapshot> => registry.getMetricsAsJSON();

/** Several processes as one: counters and histograms added up, gauges as each was told. */
export const combine = (snapshots: readonly MetricsSnapshot[]): Registry =>
  AggregatorRegistry.aggregate([...snapshots]);

/** What must stay in the sum when a process is gone, or its counters would seem to have begun anew. */
export const countsOf = (snapshot: MetricsSnapshot): MetricsSnapshot =>
  snapshot.filter(({ type }) => COUNTING.includes(String(type)));

const COUNTING: readonly string[] = ["counter", "histogram"];

export type { Counter, CounterChild, Family, Gauge, Histogram, HistogramChild };
