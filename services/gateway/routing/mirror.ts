// Whether a request is copied to a pool that only watches.
import type { ProxiedRoute } from "@evenkeel/core/config/resolve.ts";

export interface Mirror {
  pool: string;
  /** Requests with a larger body are not copied. */
  maxBodyBytes: number;
  /** Of each request once: whether it is copied. */
  draw: () => boolean;
}

/** Null: the route is not mirrored. @param random from 0 to below 1 */
export function compileMirror({ mirror }: ProxiedRoute, random: () => number): Mirror | null {
  if (mirror === null) return null;
  const { pool, percent, maxBodyBytes } = mirror;
  return { pool, maxBodyBytes, draw: percent === 100 ? () => true : () => random() * 100 < percent };
}
