// The log of the pool: nothing is missing in it, it agrees with the state, and nobody is out for nothing.
import type { Health } from "@evenkeel/core/health/state.ts";
import type { LedgerEvent } from "@evenkeel/core/ledger/ledger.ts";
import type { Facts, Life } from "./facts.ts";
import { FOUND_BOUND_MS } from "./settings.ts";
import { hadCause, outages, overlap } from "./soundness.ts";

/** Of a backend nothing was ever found out about, in the pool that is tested. */
const INITIAL: Health = "healthy";

/** A machine that keeps processes waiting makes probes fail: for so long after it did so. */
const STALL_SHOWS_MS = 1_000;
/** Entries younger than this may not have been read when Redis lost them. */
const UNREAD_MS = 1_000;

export const healthAfter = ({ before, events }: Life): Record<string, Health> => {
  const health = { ...before?.health };
  for (const { event } of events) if (event.type === "health") health[event.backend] = event.to;
  return health;
};

export const versionAfter = ({ before, events }: Life): number =>
  events.at(-1)?.event.version ?? before?.version ?? 0;

export function checkLog(facts: Facts): string[] {
  const found = facts.lives.flatMap((life, i) => [
    ...gaps(life).map((what) => `life ${i + 1} of the data: ${what}`),
    ...breaks(life).map((what) => `life ${i + 1} of the data: ${what}`),
  ]);
  return [...found, ...atTheEnd(facts)];
}

function gaps({ before, events }: Life): string[] {
  const found: string[] = [];
  let last = before?.version ?? null;
  for (const { id, event } of events) {
    const { version } = event;
    if (last !== null && version < last) found.push(`version ${version} follows ${last} (entry ${id})`);
    if (last !== null && version > last + 1)
      found.push(`${version - last - 1} version(s) after ${last} are missing (entry ${id})`);
    last = version;
  }
  return found;
}

/** Each transition begins where the one before ended, and goes somewhere. */
function breaks({ before, events }: Life): string[] {
  const found: string[] = [];
  const health = new Map<string, Health>(Object.entries(before?.health ?? {}));
  for (const { id, event } of events) {
    if (event.type !== "health") continue;
    const { backend, from, to } = event;
    const last = health.get(backend) ?? INITIAL;
    if (from !== last) found.push(`${backend} was ${last}, and goes from ${from} to ${to} (entry ${id})`);
    if (from === to) found.push(`${backend} goes from ${from} to ${to} (entry ${id})`);
    health.set(backend, to);
  }
  return found;
}

function atTheEnd({ lives, state }: Facts): string[] {
  const last = lives.at(-1);
  if (last === undefined || (last.before === null && last.events.length === 0)) return ["there is no log"];
  if (state === null) return [];
  const logged = healthAfter(last);
  const differing = state.backends
    .filter(({ id, health }) => (logged[id] ?? INITIAL) !== health)
    .map(({ id, health }) => `${id} is ${health}, its last entry says ${logged[id] ?? INITIAL}`);
  const version = versionAfter(last);
  return version === state.version
    ? differing
    : [...differing, `the pool has version ${state.version}, its last entry ${version}`];
}

type Departure = Extract<LedgerEvent, { type: "health" }>;

const departures = ({ lives }: Facts): Departure[] =>
  lives
    .flatMap(({ events }) => events.map(({ event }) => event))
    .filter((event) => event.type === "health" && event.to === "unhealthy") as Departure[];

const stalled = ({ stalls }: Facts, atMs: number): boolean =>
  stalls.some(({ fromMs, untilMs }) =>
    overlap({ fromMs, untilMs: untilMs + STALL_SHOWS_MS }, { fromMs: atMs, untilMs: atMs + 1 }),
  );

const unfounded = (facts: Facts): Departure[] =>
  departures(facts).filter(({ backend, atMs }) => !hadCause(backend, atMs, facts.faults));

export function checkCauses(facts: Facts): string[] {
  return unfounded(facts)
    .filter(({ atMs }) => !stalled(facts, atMs))
    .map(
      ({ backend, reason, detail, atMs, version }) =>
        `${backend} was found unhealthy at ${atMs} (version ${version}, ${reason}: ${detail}), and nothing was wrong with it`,
    );
}

/** Those that the machine's own slowness explains. */
export const causedByMachine = (facts: Facts): number =>
  unfounded(facts).filter(({ atMs }) => stalled(facts, atMs)).length;

/** A backend that is broken for long, while Redis, schedulers and monitors are there, is found unhealthy in time. */
export function checkFound(facts: Facts): string[] {
  const away = outages(facts.faults);
  return facts.faults
    .filter(({ role, fromMs, untilMs }) => {
      const judged = { fromMs, untilMs: fromMs + FOUND_BOUND_MS + UNREAD_MS };
      return (
        role === "backend" && untilMs - fromMs > FOUND_BOUND_MS && !away.some((span) => overlap(span, judged))
      );
    })
    .filter(({ target, fromMs }) => {
      const dueMs = fromMs + FOUND_BOUND_MS;
      return !departures(facts).some(
        ({ backend, atMs }) => backend === target && atMs >= fromMs && atMs <= dueMs,
      );
    })
    .map(
      ({ target, kind, fromMs }) =>
        `${target} was not found unhealthy within ${FOUND_BOUND_MS} ms of ${kind} at ${fromMs}`,
    );
}

/** Who follows the events through the API sees each entry once and in order; of data that is lost, perhaps not the last. */
export function checkFollower({ followed: { seen, logged } }: Facts): string[] {
  const twice = [...Map.groupBy(seen, (id) => id)].filter(([, all]) => all.length > 1);
  const known = new Set(logged.flatMap(({ ids }) => ids));
  const unknown = logged.some(({ lost }) => lost) ? [] : seen.filter((id) => !known.has(id));
  return [
    ...twice.map(([id, all]) => `entry ${id} was told ${all.length} times`),
    ...unknown.map((id) => `entry ${id} was told, and is not in the log`),
    ...logged.flatMap(({ ids, lost }, life) => {
      const told = seen.filter((id) => ids.includes(id));
      const due = lost ? ids.slice(0, told.length) : ids;
      const missing = due.filter((id) => !told.includes(id));
      if (missing.length > 0) return missing.map((id) => `entry ${id} of life ${life + 1} was not told`);
      return due.some((id, i) => told[i] !== id) && twice.length === 0
        ? [`entries of life ${life + 1} were told out of order`]
        : [];
    }),
  ];
}
