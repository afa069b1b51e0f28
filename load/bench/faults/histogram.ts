// A histogram as services show it on /metrics, read back: what can be said of all that it has counted is an upper bound, the
// border of a bucket. Pure.

/** Upper border → how many were at most that; ascending, Infinity last. */
export type Buckets = ReadonlyMap<number, number>;

/** Of the series with all of these labels; several are added up, as are several texts. Empty: there is none. */
export function bucketsOf(texts: readonly string[], name: string, ...labels: readonly string[]): Buckets {
  const sum = new Map<number, number>();
  for (const line of texts.flatMap((text) => text.split("\n"))) {
    const border = line.startsWith(`${name}_bucket{`) ? /\ble="([^"]+)"/.exec(line)?.[1] : undefined;
    if (border === undefined || !labels.every((label) => line.includes(label))) continue;
    const value = border === "+Inf" ? Number.POSITIVE_INFINITY : Number(border);
    sum.set(value, (sum.get(value) ?? 0) + Number(line.slice(line.lastIndexOf(" ") + 1)));
  }
  return new Map([...sum].sort(([a], [b]) => a - b));
}

/** What came after the earlier one. */
export const since = (later: Buckets, earlier: Buckets): Buckets =>
  new Map([...later].map(([border, count]) => [border, count - (earlier.get(border) ?? 0)]));

export const countOf = (buckets: Buckets): number => [...buckets.values()].at(-1) ?? 0;

/** At most this; NaN of nothing. */
export function atMost(buckets: Buckets, share: number): number {
  const rank = Math.max(1, Math.ceil(share * countOf(buckets)));
  if (countOf(buckets) === 0) return Number.NaN;
  return [...buckets].find(([, count]) => count >= rank)?.[0] ?? Number.POSITIVE_INFINITY;
}
