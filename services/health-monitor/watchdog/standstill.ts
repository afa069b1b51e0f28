// Whether the cluster stands still: the one decision behind a watchdog restart.

export interface Sight {
  nowMs: number;
  /**
   * Since when sweeps could be expected: shards known, Redis answering, the last restart behind us. By the same
   * clock as `nowMs`.
   */
  expectedSinceMs: number;
  /** Age of the cluster's newest sweep, by Redis's clock; null when there is none. */
  sweptAgoMs: number | null;
}

/**
 * How long a sweep has been missing, ms. One by any monitor counts: this one may get no jobs because the others
 * take them all.
 */
export const quietMs = ({ nowMs, expectedSinceMs, sweptAgoMs }: Sight): number =>
  Math.min(nowMs - expectedSinceMs, sweptAgoMs ?? Number.POSITIVE_INFINITY);

export const standsStill = (sight: Sight, limitMs: number): boolean => quietMs(sight) > limitMs;
