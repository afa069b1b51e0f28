// Which route serves a request. All routes stand in one order: the highest priority; then the most specific host (exact,
// the longest wildcard, any); then the most specific path (exact, the longest prefix, regex, any); then the one with more
// conditions; then the order of the file. The first in that order that matches wins.
//
// Compiled once per configuration. Cost of a look-up: a map read for the host, one for each of its parent domains where
// there are wildcards, one for the path and one for each of its prefixes, however many routes there are; past the
// first match only places are read that hold a route of higher priority. Regexes cost a step per character for each of
// those of the host, of which a configuration has a bounded number; conditions only for routes of that host and path.
import type { Route } from "@evenkeel/core/config/resolve.ts";
import { compileRegex, type Matcher } from "@evenkeel/core/regex/regex.ts";
import { type Condition, compileConditions, type RoutedRequest } from "./conditions.ts";

export type { RoutedRequest } from "./conditions.ts";

export interface Router {
  match(request: RoutedRequest): Route | null;
}

interface Candidate {
  route: Route;
  /** Place in the order of all routes; 0 goes first. */
  rank: number;
  /** Null: none beside host and path. */
  conditions: readonly Condition[] | null;
}

/** In the order of their ranks; never empty. */
type Bucket = Candidate[];

interface Paths {
  /** The lowest of the table. */
  rank: number;
  /** Of its first route. */
  priority: number;
  /** All of one priority: the more specific path is the lower rank, so that the first match is the best. */
  ordered: boolean;
  exact: Map<string, Bucket>;
  /** Keyed without the closing "/*". */
  prefixes: Map<string, Bucket>;
  /** Bounds the walk over a long path. */
  longestPrefix: number;
  regexes: { matches: Matcher; candidate: Candidate }[];
  any: Bucket;
}

/** No match yet. */
const NOWHERE = Number.POSITIVE_INFINITY;

export function compileRoutes(routes: readonly Route[]): Router {
  const hosts = new Map<string, Paths>();
  /** Keyed without the leading "*." */
  const wildcards = new Map<string, Paths>();
  const anyHost = emptyPaths();
  for (const [rank, route] of inOrder(routes).entries()) {
    const { host } = route.match;
    const paths =
      host === null ? anyHost : host.startsWith("*.") ? entry(wildcards, host.slice(2)) : entry(hosts, host);
    addRoute(paths, { route, rank, conditions: compileConditions(route.match) });
  }
  const wildcardRank = Math.min(NOWHERE, ...[...wildcards.values()].map(({ rank }) => rank));

  return {
    match(request) {
      const own = hosts.get(request.host);
      let best = own ? bestOf(own, request, null) : null;
      if (wildcardRank < (best?.rank ?? NOWHERE)) best = bestWildcard(wildcards, request, best);
      if (anyHost.rank < (best?.rank ?? NOWHERE)) best = bestOf(anyHost, request, best);
      return best === null ? null : best.route;
    },
  };
}

function inOrder(routes: readonly Route[]): Route[] {
  return routes
    .map((route) => ({ route, weight: specificity(route) }))
    .sort((a, b) => {
      for (let i = 0; i < a.weight.length; i += 1) {
        const difference = (b.weight[i] as number) - (a.weight[i] as number);
        if (difference !== 0) return difference;
      }
      return 0; // sorting is stable: the order of the file
    })
    .map(({ route }) => route);
}

const MOST = Number.MAX_SAFE_INTEGER;

/** Compared from the left; more goes first. */
function specificity({ match, priority }: Route): number[] {
  const { host, path, pathRegex, listener, methods, headers, query, clients } = match;
  const hostWeight = host === null ? -1 : host.startsWith("*.") ? host.length : MOST;
  const pathWeight = pathRegex !== null ? 0 : path === "/*" ? -1 : path.endsWith("/*") ? path.length : MOST;
  const single = Number(listener !== null) + Number(methods.length > 0) + Number(clients.length > 0);
  return [priority, hostWeight, pathWeight, single + headers.length + query.length];
}

/** Takes labels off the left. Host names are bounded by the size of the header section. */
function bestWildcard(
  wildcards: Map<string, Paths>,
  request: RoutedRequest,
  found: Candidate | null,
): Candidate | null {
  const { host } = request;
  let best = found;
  for (let dot = host.indexOf("."); dot > 0; dot = host.indexOf(".", dot + 1)) {
    const paths = wildcards.get(host.slice(dot + 1));
    if (paths !== undefined && paths.rank < (best?.rank ?? NOWHERE)) best = bestOf(paths, request, best);
  }
  return best;
}

/** The one of the table that goes before what was found, else what was found. */
function bestOf(paths: Paths, request: RoutedRequest, found: Candidate | null): Candidate | null {
  const { path } = request;
  const exact = paths.exact.get(path);
  let best = exact ? better(exact, request, found) : found;
  if (paths.ordered && best !== found) return best;
  if (paths.prefixes.size > 0) best = bestPrefix(paths, request, best);
  if (paths.ordered && best !== found) return best;
  for (const { matches, candidate } of paths.regexes) {
    if (candidate.rank >= (best?.rank ?? NOWHERE)) break;
    if (passes(candidate, request) && matches(path)) best = candidate;
  }
  return better(paths.any, request, best);
}

function bestPrefix(paths: Paths, request: RoutedRequest, found: Candidate | null): Candidate | null {
  const { path } = request;
  const { longestPrefix, prefixes } = paths;
  let best = found;
  let end = path.length <= longestPrefix ? path.length : path.lastIndexOf("/", longestPrefix);
  while (end > 0) {
    const bucket = prefixes.get(path.slice(0, end));
    if (bucket !== undefined) {
      best = better(bucket, request, best);
      if (paths.ordered && best !== found) return best;
    }
    end = path.lastIndexOf("/", end - 1);
  }
  return best;
}

function better(bucket: Bucket, request: RoutedRequest, found: Candidate | null): Candidate | null {
  const bound = found === null ? NOWHERE : found.rank;
  for (const candidate of bucket) {
    if (candidate.rank >= bound) return found;
    if (passes(candidate, request)) return candidate;
  }
  return found;
}

function passes({ conditions }: Candidate, request: RoutedRequest): boolean {
  if (conditions === null) return true;
  for (const condition of conditions) if (!condition(request)) return false;
  return true;
}

/** Routes come in the order of their ranks. */
function addRoute(paths: Paths, candidate: Candidate): void {
  const { path, pathRegex } = candidate.route.match;
  const { priority } = candidate.route;
  if (paths.rank === NOWHERE) {
    paths.rank = candidate.rank;
    paths.priority = priority;
  } else if (paths.priority !== priority) paths.ordered = false;
  if (pathRegex !== null) paths.regexes.push({ matches: compileRegex(pathRegex), candidate });
  else if (path === "/*") paths.any.push(candidate);
  else if (!path.endsWith("/*")) bucketOf(paths.exact, path).push(candidate);
  else {
    const prefix = path.slice(0, -2);
    bucketOf(paths.prefixes, prefix).push(candidate);
    paths.longestPrefix = Math.max(paths.longestPrefix, prefix.length);
  }
}

function bucketOf(table: Map<string, Bucket>, key: string): Bucket {
  const bucket = table.get(key) ?? [];
  table.set(key, bucket);
  return bucket;
}

function entry(table: Map<string, Paths>, key: string): Paths {
  const paths = table.get(key) ?? emptyPaths();
  table.set(key, paths);
  return paths;
}

const emptyPaths = (): Paths => ({
  rank: NOWHERE,
  priority: 0,
  ordered: true,
  exact: new Map(),
  prefixes: new Map(),
  longestPrefix: 0,
  regexes: [],
  any: [],
});
