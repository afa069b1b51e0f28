// The backends that are probed, made ready for it: what to ask, when, and what this monitor knows of them.
import type { Backend, Pool } from "@evenkeel/core/config/resolve.ts";
import type { Probing } from "@evenkeel/core/config/resolve-health.ts";
import { type Ask, prepareAgent } from "../probes/ask-agent.ts";
import type { Probe } from "../probes/attempt.ts";
import { prepareProbe } from "../probes/probe.ts";
import { type DueTimes, dueTimesOf } from "./due-times.ts";

export interface Watched {
  /** Unique in the cluster. */
  readonly key: string;
  readonly pool: string;
  readonly id: string;
  readonly url: string;
  readonly probing: Probing;
  readonly times: DueTimes;
  readonly probe: Probe;
  /** Null: its pool has no agents. */
  readonly ask: Ask | null;
  /** What all of the above was made from, to see whether it still holds. */
  readonly madeFrom: string;
  /** Its lease ends, ms since the epoch; 0: there was none. */
  untilMs: number;
  /** Its next probe here; Infinity: none is planned. */
  nextMs: number;
  /** When the last probe here was due. */
  lastMs: number;
  /** Probed fast. */
  doubtful: boolean;
  /** What the last finding was after which its health was not in doubt. */
  settled: boolean;
  /** No longer in the configuration. */
  gone: boolean;
}

/** Keeps those that are as they were, with their leases. @param known by key */
export function watchedOf(pools: readonly Pool[], known: ReadonlyMap<string, Watched>): Map<string, Watched> {
  const next = new Map<string, Watched>();
  for (const pool of pools) {
    const { name, probing, reports, tls, backends } = pool;
    if (!probing) continue;
    const settings = JSON.stringify([probing, reports.agent, tls]);
    for (const backend of backends) {
      const key = `${name}/${backend.id}`;
      const madeFrom = `${backend.url} ${settings}`;
      const before = known.get(key);
      const kept = before?.madeFrom === madeFrom ? before : watch(key, backend, pool, probing, madeFrom);
      if (before && before !== kept) kept.untilMs = before.untilMs;
      next.set(key, kept);
    }
  }
  for (const [key, before] of known) if (next.get(key) !== before) before.gone = true;
  return next;
}

const watch = (
  key: string,
  { id, url }: Backend,
  { name, reports, tls }: Pool,
  probing: Probing,
  madeFrom: string,
): Watched => ({
  key,
  pool: name,
  id,
  url,
  probing,
  times: dueTimesOf(key, probing),
  probe: prepareProbe(url, probing, tls),
  ask: reports.agent ? prepareAgent(url, reports.agent, tls) : null,
  madeFrom,
  untilMs: 0,
  nextMs: Number.POSITIVE_INFINITY,
  lastMs: 0,
  doubtful: false,
  settled: true,
  gone: false,
});
