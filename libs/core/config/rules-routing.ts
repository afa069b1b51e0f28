// What a schema cannot say of routes: that each leads to something that exists and speaks its protocol, and that what
// is said of how it is served fits together.
import { type BackendFamily, backendFamily } from "./backend-url.ts";
import { pointer, shown } from "./problem.ts";
import { type Draft, entries, type Part, type Rule, repeated, unreadable } from "./rule.ts";
import { MATCH_RULES, protocolsOf } from "./rules-matching.ts";
import { REWRITING_RULES } from "./rules-rewriting.ts";
import { didYouMean } from "./suggest.ts";

type Route = Part<"routes">;

export const ROUTING_RULES: Record<string, Rule> = {
  ...MATCH_RULES,
  routesServe,
  routesLeadSomewhere,
  boundBackends,
  poolsSpeakTheProtocol,
  splits,
  mirrorsWatch,
  uniqueStickyCookies,
  ...REWRITING_RULES,
};

const REPLIES = ["redirect", "respond"] as const;
/** What has no meaning where nothing is proxied. */
const PROXIED = [
  "proxy",
  "pool",
  "backend",
  "spillAbove",
  "criticality",
  "failover",
  "retryStatuses",
  "split",
  "mirror",
  "rewrite",
] as const;

function* routesServe({ routes }: Draft) {
  for (const [r, route] of entries(routes)) {
    const place = (key: string) => pointer("routes", r, key);
    const [reply, other] = REPLIES.filter((key) => key in route);
    if (other !== undefined) {
      yield {
        path: place(other),
        message: `a route answers in one way; remove \`${reply}\` or \`${other}\``,
      };
    } else if (reply !== undefined) {
      for (const key of PROXIED.filter((one) => one in route)) {
        const message = `has no meaning beside \`${reply}\`: nothing is proxied; remove one of them`;
        yield { path: place(key), message };
      }
    } else if (!("proxy" in route)) {
      const message = 'key "proxy" is missing: static, dynamic or hybrid; or `redirect` or `respond`';
      yield { path: place("proxy"), message };
    } else yield* servedBy(route, place);
  }
}

/** The keys that belong to a way of being proxied. */
function* servedBy(route: Route, place: (key: string) => string) {
  const { proxy } = route;
  if (!("pool" in route) && !("split" in route)) {
    yield { path: place("pool"), message: 'key "pool" is missing: who serves this route' };
  }
  if ("pool" in route && "split" in route) {
    yield { path: place("pool"), message: "the pools of `split` serve this route; remove `pool` or `split`" };
  }
  if (proxy === undefined) return;
  if (proxy !== "dynamic" && "split" in route) {
    const message = `only a dynamic route is split: a ${proxy} one is bound to one backend`;
    yield { path: place("split"), message };
  }
  if (proxy === "dynamic" && "backend" in route) {
    const message =
      "only a static route has a backend, or a hybrid one; a dynamic one is scheduled over the pool";
    yield { path: place("backend"), message };
  }
  if (proxy !== "dynamic" && !("backend" in route)) {
    const message = `key "backend" is missing: a ${proxy} route is bound to one backend`;
    yield { path: place("backend"), message };
  }
  for (const key of ["spillAbove", "criticality"] as const) {
    if (proxy === "hybrid" || !(key in route)) continue;
    yield { path: place(key), message: `only a hybrid route spills over; remove it, or set proxy: hybrid` };
  }
}

/** Every pool that a route names, with its place. */
function* namedPools({ pool, split, mirror }: Route): Generator<[string, (string | number)[]]> {
  if (pool !== undefined) yield [pool, ["pool"]];
  for (const [i, one] of entries(split?.pools)) {
    if (one.pool !== undefined) yield [one.pool, ["split", "pools", i, "pool"]];
  }
  if (mirror?.pool !== undefined) yield [mirror.pool, ["mirror", "pool"]];
}

function* routesLeadSomewhere({ routes, pools }: Draft) {
  const names = pools?.map((pool) => pool?.name);
  if (!names?.every((name) => name !== undefined)) return;
  const known = new Set(names);
  for (const [r, route] of entries(routes)) {
    for (const [pool, place] of namedPools(route)) {
      if (known.has(pool)) continue;
      const message = `there is no pool ${shown(pool)}${didYouMean(pool, names)}`;
      yield { path: pointer("routes", r, ...place), message };
    }
  }
}

const poolsByName = (pools: Draft["pools"]): Map<string, Part<"pools">> =>
  new Map([...entries(pools)].flatMap(([, pool]) => (pool.name === undefined ? [] : [[pool.name, pool]])));

function* boundBackends({ routes, pools }: Draft) {
  const byName = poolsByName(pools);
  for (const [r, { proxy, pool, backend }] of entries(routes)) {
    const backends = pool === undefined ? undefined : byName.get(pool)?.backends;
    if (!backends || backend === undefined || (proxy !== "static" && proxy !== "hybrid")) continue;
    const ids = backends.map((one) => one?.id);
    if (ids.includes(backend) || !ids.every((id) => id !== undefined)) continue;
    const message = `pool "${pool}" has no backend ${shown(backend)}${didYouMean(backend, ids)}`;
    yield { path: pointer("routes", r, "backend"), message };
  }
}

const FAMILY_WORDS: Readonly<Record<BackendFamily, string>> = {
  http: "http:// or https://",
  tcp: "tcp://",
  udp: "udp://",
};

function* poolsSpeakTheProtocol(draft: Draft) {
  const protocolOf = protocolsOf(draft);
  const byName = poolsByName(draft.pools);
  for (const [r, route] of entries(draft.routes)) {
    const protocol = protocolOf(route);
    if (protocol === null) continue;
    const needed = protocol === "tls" ? "tcp" : protocol;
    for (const [pool, place] of namedPools(route)) {
      const other = familiesOf(byName.get(pool)).find((family) => family !== needed);
      if (other === undefined) continue;
      const who =
        protocol === "http" ? "a route" : `a route of ${protocol} listener "${route.match?.listener}"`;
      const message = `the backends of pool "${pool}" are of ${FAMILY_WORDS[other]}; ${who} needs such of ${FAMILY_WORDS[needed]}`;
      yield { path: pointer("routes", r, ...place), message };
    }
  }
}

function familiesOf(pool: Part<"pools"> | undefined): BackendFamily[] {
  const families = [...entries(pool?.backends)].map(([, { url }]) =>
    url === undefined ? null : backendFamily(url),
  );
  return families.filter((family) => family !== null);
}

function* splits({ routes }: Draft) {
  for (const [r, { split }] of entries(routes)) {
    const place = (...parts: (string | number)[]) => pointer("routes", r, "split", "pools", ...parts);
    yield* repeated(
      split?.pools ?? [],
      ({ pool }) => pool,
      (i) => place(i, "pool"),
      "pool",
    );
    const weights = split?.pools?.map((one) => one?.weight);
    if (!weights?.every((weight) => weight === 0)) continue;
    yield { path: place(), message: "all weights are 0, so no pool would serve; give one a weight" };
  }
}

function* mirrorsWatch({ routes }: Draft) {
  for (const [r, route] of entries(routes)) {
    const watching = route.mirror?.pool;
    const serving = [...namedPools({ ...route, mirror: undefined })].map(([pool]) => pool);
    if (watching === undefined || !serving.includes(watching)) continue;
    const message = `pool ${shown(watching)} serves this route already and would do everything twice; name another one`;
    yield { path: pointer("routes", r, "mirror", "pool"), message };
  }
}

/** A cookie names a pool, or a backend: two that mean different things would undo each other with every answer. */
function* uniqueStickyCookies({ routes, pools }: Draft) {
  const affinities = new Map<string, string>();
  for (const [, { name, affinity }] of entries(pools)) {
    if (!affinity || name === undefined || unreadable(affinity, "cookie")) continue;
    affinities.set(affinity.cookie ?? "evenkeel", name);
  }
  const meanings = new Map<string, { names: string; r: number }>();
  for (const [r, { split }] of entries(routes)) {
    const cookie = split?.sticky?.cookie;
    const names = split?.pools?.map((one) => one?.pool);
    if (cookie === undefined || !names?.every((name) => name !== undefined)) continue;
    const path = pointer("routes", r, "split", "sticky", "cookie");
    const pool = affinities.get(cookie);
    if (pool !== undefined) {
      yield {
        path,
        message: `cookie ${shown(cookie)} names backends of pool "${pool}" already; take another`,
      };
    }
    const meaning = names.toSorted().join();
    const earlier = meanings.get(cookie);
    if (earlier === undefined) meanings.set(cookie, { names: meaning, r });
    else if (earlier.names !== meaning) {
      const other = pointer("routes", earlier.r, "split", "sticky", "cookie");
      const message = `cookie ${shown(cookie)} is taken by ${other}, which is split over other pools`;
      yield { path, message };
    }
  }
}
