// What a schema cannot say of where requests go when a pool or a backend cannot take them.
import { type BackendFamily, backendFamily } from "./backend-url.ts";
import { type Problem, pointer, shown } from "./problem.ts";
import { type Draft, entries, type Part, type Rule, readable } from "./rule.ts";
import { didYouMean } from "./suggest.ts";

export const FAILOVER_RULES: Record<string, Rule> = {
  failoverLeadsSomewhere,
  failoverEnds,
  failoverSpeaksTheSame,
  failoverOfStaticRoutes,
  retriedStatuses,
};

/** Pools that are asked for a request after its own. */
export const FAILOVER_DEPTH_MAX = 4;

type Pool = Part<"pools">;

const at = (p: number) => pointer("pools", p, "failoverTo");

const byName = (pools: Draft["pools"]): Map<string, Pool> =>
  new Map(
    entries(pools).flatMap(([, pool]) => (pool.name === undefined ? [] : [[pool.name, pool] as const])),
  );

function* failoverLeadsSomewhere({ pools }: Draft) {
  const names = pools?.map((pool) => pool?.name);
  if (!names?.every((name) => name !== undefined)) return;
  for (const [p, { failoverTo }] of entries(pools)) {
    if (failoverTo === undefined || names.includes(failoverTo)) continue;
    const message = `there is no pool ${shown(failoverTo)}${didYouMean(failoverTo, names)}`;
    yield { path: at(p), message };
  }
}

function* failoverEnds({ pools }: Draft): Generator<Problem> {
  const known = byName(pools);
  const said = new Set<string>();
  for (const [p, { name }] of entries(pools)) {
    if (name === undefined) continue;
    const way = wayFrom(name, known);
    const last = way.at(-1) as string;
    const shape = way.join(" → ");
    if (way.length > 1 && last === name) {
      const circle = way.slice(1).toSorted().join();
      if (said.has(circle)) continue; // told once, at its first pool
      said.add(circle);
      const message = `${shape} goes round in a circle: leave \`failoverTo\` out of the one that is to be the last`;
      yield { path: at(p), message };
    } else if (way.length > FAILOVER_DEPTH_MAX + 1 && new Set(way).size === way.length) {
      const message = `${shape} is too long: at most ${FAILOVER_DEPTH_MAX} pools are asked after the first`;
      yield { path: at(p), message };
    }
  }
}

/** With itself first; one that comes a second time, or has no next one, is the last. */
function wayFrom(name: string, known: ReadonlyMap<string, Pool>): string[] {
  const way = [name];
  let next = known.get(name)?.failoverTo;
  while (next !== undefined && known.has(next)) {
    const circle = way.includes(next);
    way.push(next);
    if (circle) break;
    next = known.get(next)?.failoverTo;
  }
  return way;
}

const FAMILY_WORDS: Readonly<Record<BackendFamily, string>> = {
  http: "http:// or https://",
  tcp: "tcp://",
  udp: "udp://",
};

/** Of the first backend that could be read; null: there is none. */
function familyOf(pool: Pool | undefined): BackendFamily | null {
  for (const [, { url }] of entries(pool?.backends)) {
    const family = url === undefined ? null : backendFamily(url);
    if (family !== null) return family;
  }
  return null;
}

function* failoverSpeaksTheSame({ pools }: Draft) {
  const known = byName(pools);
  for (const [p, pool] of entries(pools)) {
    if (pool.failoverTo === undefined) continue;
    const own = familyOf(pool);
    const other = familyOf(known.get(pool.failoverTo));
    if (own === null || other === null || own === other) continue;
    const message = `the backends of pool "${pool.failoverTo}" are of ${FAMILY_WORDS[other]}, and cannot take requests to such of ${FAMILY_WORDS[own]}`;
    yield { path: at(p), message };
  }
}

function* failoverOfStaticRoutes({ routes, pools }: Draft) {
  const known = byName(pools);
  for (const [r, route] of entries(routes)) {
    const path = pointer("routes", r, "failover");
    if ("proxy" in route && route.proxy !== "static" && "failover" in route) {
      const message =
        "only a static route needs it: the requests of another one go to another backend anyway; remove it";
      yield { path, message };
    }
    if (route.proxy !== "static" || route.failover !== true || route.pool === undefined) continue;
    const pool = known.get(route.pool);
    if (!pool || "discovery" in pool || "failoverTo" in pool || !readable(pool, "backends")) continue;
    if (pool.backends?.length !== 1) continue;
    const message = `nobody can take over: pool "${route.pool}" has one backend, and neither \`failoverTo\` nor \`discovery\``;
    yield { path, message };
  }
}

const STATUS_MIN = 200;

function* retriedStatuses({ routes }: Draft) {
  for (const [r, { retryStatuses, retries, proxy, failover }] of entries(routes)) {
    const place = (...parts: (string | number)[]) => pointer("routes", r, "retryStatuses", ...parts);
    for (const [s, range] of entries(retryStatuses)) {
      const [from, to = from] = range.split("-").map(Number) as [number, number?];
      if (from > to) yield { path: place(s), message: `${from} is more than ${to}: write ${to}-${from}` };
      else if (from < STATUS_MIN) {
        const message =
          "answers below 200 are not the last word: what follows them is; name those of 200 and more";
        yield { path: place(s), message };
      }
    }
    if (retryStatuses === undefined || retryStatuses.length === 0) continue;
    if (retries === 0) {
      yield {
        path: place(),
        message: "nothing is repeated with `retries: 0`; raise it, or remove one of them",
      };
    } else if (proxy === "static" && failover !== true) {
      const message =
        "a static route has nowhere else to ask; set `failover: true`, another proxy, or remove it";
      yield { path: place(), message };
    }
  }
}
