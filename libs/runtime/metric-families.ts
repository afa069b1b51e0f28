// Counters and histograms for the path of a request: each set of labels is an object with plain numbers, held by whoever
// counts, so that counting costs an addition. They take Prometheus's form only when somebody asks for it.
import type { Metric, Registry } from "prom-client";

export type Labels = Record<string, string>;

/** All children of one metric. */
export interface Family<Child> {
  /** The same child for the same labels, made when it is first asked for. */
  child(labels: Labels): Child;
  /** The series ends; a child that somebody still holds counts for nothing. */
  remove(labels: Labels): void;
}

export interface CounterChild {
  value: number;
}

export interface HistogramChild {
  observe(value: number): void;
}

interface Value {
  metricName?: string;
  labels: Record<string, string | number>;
  value: number;
}

interface Kind<Child> {
  name: string;
  help: string;
  type: "counter" | "histogram";
  create(): Child;
  values(child: Child, labels: Labels): Value[];
}

export function counterFamily(registry: Registry, name: string, help: string): Family<CounterChild> {
  return register(registry, {
    ...{ name, help },
    type: "counter",
    create: () => ({ value: 0 }),
    values: ({ value }, labels) => [{ labels, value }],
  });
}

/** @param bounds upper ones, rising */
export function histogramFamily(
  registry: Registry,
  name: string,
  help: string,
  bounds: readonly number[],
): Family<HistogramChild> {
  return register(registry, {
    ...{ name, help },
    type: "histogram",
    create: () => new Buckets(bounds),
    values: (child: Buckets, labels) => child.values(name, labels),
  });
}

class Buckets implements HistogramChild {
  readonly #bounds: readonly number[];
  /** One more than bounds: what is above the last. Not cumulative. */
  readonly #counts: number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Array(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let i = 0;
    while (i < bounds.length && value > (bounds[i] as number)) i += 1;
    this.#counts[i] = (this.#counts[i] as number) + 1;
    this.#sum += value;
  }

  values(name: string, labels: Labels): Value[] {
    let count = 0;
    const buckets = this.#counts.map((inBucket, i) => {
      count += inBucket;
      const le = this.#bounds[i] ?? "+Inf";
      return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: this.#sum },
      { metricName: `${name}_count`, labels, value: count },
    ];
  }
}

function register<Child>(
  registry: Registry,
  { name, help, type, create, values }: Kind<Child>,
): Family<Child> {
  const children = new Map<string, { labels: Labels; child: Child }>();
  const keyOf = (labels: Labels) => JSON.stringify(Object.entries(labels).sort());
  const get = async () => ({
    ...{ name, help, type },
    values: [...children.values()].flatMap(({ labels, child }) => values(child, labels)),
    aggregator: "sum",
  });
  registry.registerMetric({ name, get } as unknown as Metric);
  return {
    child(labels) {
      const key = keyOf(labels);
      const known = children.get(key);
      if (known) return known.child;
      const child = create();
      children.set(key, { labels, child });
      return child;
    },
    remove: (labels) => void children.delete(keyOf(labels)),
  };
}
