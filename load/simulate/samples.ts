// What a run is summed up in, and how sure it is: every seed is one run, a figure is that of all of them together, and
// its noise is read off how far the runs are apart.

export interface Figures {
  meanMs: number;
  p50Ms: number;
  p99Ms: number;
  p999Ms: number;
}

export type Figure = keyof Figures;

/** The value below which the share `q` of a sorted sample lies. */
export function quantile(sorted: Float64Array, q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

export function figuresOf(samples: Float64Array): Figures {
  const sorted = samples.toSorted();
  return {
    meanMs: sorted.reduce((sum, value) => sum + value, 0) / sorted.length,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    p999Ms: quantile(sorted, 0.999),
  };
}

export function joined(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Standard error of the mean; 0 of fewer than two values. */
export function standardError(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (values.length - 1);
  return Math.sqrt(variance / values.length);
}
