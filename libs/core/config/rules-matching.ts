// What a schema cannot say of matches: that their patterns are sound, their conditions belong to the listener's
// protocol, no two are equal, and none is hidden behind another for ever.
import { regexFault } from "../regex/regex.ts";
import { canonicalPath } from "./canonical-path.ts";
import { canonicalNetwork, cidrFault, hostFault, pathFault } from "./patterns.ts";
import { type Problem, pointer, shown } from "./problem.ts";
import { prefixOf } from "./resolve-routing.ts";
import {
  checked,
  type Draft,
  entries,
  type Part,
  type Rule,
  readable,
  repeated,
  unreadable,
} from "./rule.ts";
import { ROUTING_LIMITS } from "./schema-routing.ts";
import { didYouMean } from "./suggest.ts";

type Route = Part<"routes">;
type Match = NonNullable<Route["match"]>;
type Protocol = NonNullable<Part<"listeners">["protocol"]>;

export const MATCH_RULES: Record<string, Rule> = {
  routePatterns,
  regexes,
  values,
  knownListeners,
  conditionsOfTheProtocol,
  uniqueMatches,
  reachableRoutes,
};

const at = (r: number, ...parts: (string | number)[]) => pointer("routes", r, "match", ...parts);

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

/** A known one in other letters is another method, and nobody's. */
function methodFault(method: string): string | null {
  const known = METHODS.find((one) => one === method.toUpperCase());
  return known === undefined || known === method ? null : `case matters; did you mean "${known}"?`;
}

function* routePatterns({ routes }: Draft) {
  for (const [r, { match }] of entries(routes)) {
    yield* checked(match?.host, hostFault, at(r, "host"));
    yield* checked(match?.sni, hostFault, at(r, "sni"));
    yield* checked(match?.path, pathFault, at(r, "path"));
    for (const [i, cidr] of entries(match?.clients)) yield* checked(cidr, cidrFault, at(r, "clients", i));
    yield* repeated(
      match?.methods ?? [],
      (method) => method,
      (i) => at(r, "methods", i),
      "method",
    );
    for (const [i, method] of entries(match?.methods))
      yield* checked(method, methodFault, at(r, "methods", i));
    if (match && "path" in match && "pathRegex" in match) {
      yield { path: at(r, "pathRegex"), message: "a match has one of `path` and `pathRegex`; remove one" };
    }
  }
}

/** Headers and query parameters of all matches, with their places. */
function* conditionsOf(
  draft: Draft,
): Generator<[NonNullable<Match["headers"]>, "headers" | "query", number]> {
  for (const [r, { match }] of entries(draft.routes)) {
    if (match?.headers) yield [match.headers, "headers", r];
    if (match?.query) yield [match.query, "query", r];
  }
}

interface PlacedRegex {
  pattern: string;
  path: string;
  host: string;
}

function regexesOf(draft: Draft): PlacedRegex[] {
  const found: PlacedRegex[] = [];
  const add = (r: number, pattern: string | undefined, ...place: string[]) => {
    const { match } = draft.routes?.[r] ?? {};
    if (pattern !== undefined && match) found.push({ pattern, path: at(r, ...place), host: hostOf(match) });
  };
  for (const [r, { match }] of entries(draft.routes)) add(r, match?.pathRegex, "pathRegex");
  for (const [conditions, kind, r] of conditionsOf(draft)) {
    for (const [name, value] of Object.entries(conditions)) {
      if (typeof value === "object") add(r, value.regex, kind, name, "regex");
    }
  }
  return found;
}

function* regexes(draft: Draft) {
  const found = regexesOf(draft);
  for (const { pattern, path } of found.slice(0, ROUTING_LIMITS.regexes)) {
    yield* checked(pattern, regexFault, path);
  }
  const excess = found[ROUTING_LIMITS.regexes];
  if (excess) {
    const message = `more than ${ROUTING_LIMITS.regexes} regular expressions in all; use hosts and prefixes`;
    yield { path: excess.path, message };
  }
  for (const [host, ofHost] of Map.groupBy(found, (one) => one.host)) {
    const tooMany = ofHost[ROUTING_LIMITS.regexesPerHost];
    if (!tooMany) continue;
    const message = `more than ${ROUTING_LIMITS.regexesPerHost} regular expressions for ${host}: a request may have to be compared with all; use prefixes`;
    yield { path: tooMany.path, message };
  }
}

const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/;
/** What no proxy can match on: it ends at this hop, or has a key of its own. */
const NOT_MATCHED: Readonly<Record<string, string>> = {
  host: "use `host`",
  connection: "it is for this hop only",
  "transfer-encoding": "it frames the body",
  "content-length": "it frames the body",
};

function* values(draft: Draft) {
  for (const [conditions, kind, r] of conditionsOf(draft)) {
    const names = Object.keys(conditions);
    if (names.length === 0) yield { path: at(r, kind), message: "is empty; remove it" };
    for (const name of names) {
      if (kind === "headers") yield* headerName(name, at(r, kind, name));
      yield* valueSaysOneThing(conditions[name], at(r, kind, name));
    }
    if (kind !== "headers") continue;
    yield* repeated(
      names,
      (name) => name.toLowerCase(),
      (i) => at(r, kind, names[i] as string),
      "header",
    );
  }
}

function* headerName(name: string, path: string): Generator<Problem> {
  if (!TOKEN.test(name)) yield { path, message: `${shown(name)} is not the name of a header` };
  const reason = NOT_MATCHED[name.toLowerCase()];
  if (reason !== undefined) yield { path, message: `${shown(name)} is not matched on: ${reason}` };
}

function* valueSaysOneThing(value: NonNullable<Match["headers"]>[string], path: string): Generator<Problem> {
  if (typeof value !== "object") return;
  if ("regex" in value !== "present" in value) return;
  yield { path, message: "is one of: text, { regex: … }, { present: true }, { present: false }" };
}

function* knownListeners({ listeners, routes }: Draft) {
  const names = listeners?.map((listener) => listener?.name);
  if (!names?.every((name) => name !== undefined)) return;
  for (const [r, { match }] of entries(routes)) {
    const listener = match?.listener;
    if (listener === undefined || names.includes(listener)) continue;
    yield {
      path: at(r, "listener"),
      message: `there is no listener ${shown(listener)}${didYouMean(listener, names)}`,
    };
  }
}

/** What a route's requests come by: HTTP, unless it names a listener of another protocol. Null: it cannot be told. */
export function protocolsOf({ listeners }: Draft): (route: Route) => Protocol | null {
  const byName = new Map<string | undefined, Protocol | undefined>();
  for (const [, { name, protocol }] of entries(listeners)) byName.set(name, protocol);
  return ({ match }) => {
    if (!match || unreadable(match, "listener")) return null;
    return match.listener === undefined ? "http" : (byName.get(match.listener) ?? null);
  };
}

const HTTP_CONDITIONS = ["host", "path", "pathRegex", "methods", "headers", "query"] as const;
const HTTP_FIELDS = ["split", "mirror", "rewrite", "headers", "redirect", "respond"] as const;

function* conditionsOfTheProtocol(draft: Draft) {
  const protocolOf = protocolsOf(draft);
  for (const [r, route] of entries(draft.routes)) {
    const protocol = protocolOf(route);
    const { match = {} } = route;
    if (protocol === null) continue;
    if ("sni" in match && protocol !== "tls") {
      const message =
        match.listener === undefined
          ? "names a server of a tls listener; say which one by `listener`"
          : `only a tls listener is routed by server name, "${match.listener}" is ${protocol}; remove \`sni\``;
      yield { path: at(r, "sni"), message };
    }
    if (protocol === "http") continue;
    const why = `has no meaning on ${protocol} listener "${match.listener}": only HTTP has it; remove it`;
    for (const key of HTTP_CONDITIONS) {
      const advice = key === "host" && protocol === "tls" ? ", or use `sni`" : "";
      if (key in match) yield { path: at(r, key), message: `${why}${advice}` };
    }
    for (const key of HTTP_FIELDS) if (key in route) yield { path: pointer("routes", r, key), message: why };
  }
}

/** Each condition beside host and path in one spelling. */
function conditionsSpelled(match: Match): string[] {
  const spelled: string[] = [];
  if (match.listener !== undefined) spelled.push(`listener ${match.listener}`);
  if (match.sni !== undefined) spelled.push(`sni ${match.sni.toLowerCase()}`);
  if (match.methods) spelled.push(`methods ${match.methods.toSorted().join()}`);
  if (match.clients) {
    const networks = match.clients.map((cidr) => (cidr === undefined ? null : canonicalNetwork(cidr)));
    spelled.push(`clients ${networks.toSorted().join()}`);
  }
  for (const [name, value] of Object.entries(match.headers ?? {})) {
    spelled.push(`header ${name.toLowerCase()} ${JSON.stringify(value)}`);
  }
  for (const [name, value] of Object.entries(match.query ?? {})) {
    spelled.push(`query ${name} ${JSON.stringify(value)}`);
  }
  return spelled.sort();
}

const hostOf = ({ host }: Match): string => host?.toLowerCase() ?? "any host";
const pathOf = ({ path, pathRegex }: Match): string =>
  pathRegex === undefined ? canonicalPath(path ?? "/*") : `matching ${pathRegex}`;

function* uniqueMatches({ routes }: Draft) {
  const key = (route: Route) => {
    if (!route.match || !readable(route, "match") || unreadable(route, "priority")) return undefined;
    const conditions = conditionsSpelled(route.match);
    const priority = route.priority ? [`priority ${route.priority}`] : [];
    return [`${hostOf(route.match)} ${pathOf(route.match)}`, ...conditions, ...priority].join(", ");
  };
  yield* repeated(routes ?? [], key, (r) => at(r), "match");
}

interface Standing {
  r: number;
  priority: number;
  conditions: string[];
}

/** Routes of one host and path that are compared with another; of more, some that hide it may go unnoticed. */
const COMPARED_MAX = 64;

/**
 * A route whose match another one with a higher priority covers whole: the same or a wider host, the same or a wider path,
 * and no condition that it has not got itself. Without priorities the more specific one goes first, so none is hidden.
 */
function* reachableRoutes({ routes }: Draft) {
  const byPlace = new Map<string, Standing[]>();
  const standings: [Match, Standing][] = [];
  for (const [r, route] of entries(routes)) {
    if (!route.match || !readable(route, "match") || unreadable(route, "priority")) continue;
    const standing = { r, priority: route.priority ?? 0, conditions: conditionsSpelled(route.match) };
    standings.push([route.match, standing]);
    const place = `${hostOf(route.match)} ${pathOf(route.match)}`;
    byPlace.set(place, [...(byPlace.get(place) ?? []), standing].slice(0, COMPARED_MAX));
  }
  if (new Set(standings.map(([, { priority }]) => priority)).size < 2) return;
  for (const [match, standing] of standings) {
    const hider = widerPlaces(match)
      .flatMap((place) => byPlace.get(place) ?? [])
      .find((other) => hides(other, standing));
    if (hider === undefined) continue;
    const message = `never matches: ${pointer("routes", hider.r)} takes all of its requests with priority ${hider.priority}; give it a higher one, or remove it`;
    yield { path: at(standing.r), message };
  }
}

const hides = (a: Standing, b: Standing): boolean =>
  a.priority > b.priority && a.conditions.every((condition) => b.conditions.includes(condition));

/** Labels or segments of a pattern that are looked through. */
const DEPTH_MAX = 64;

function widerPlaces(match: Match): string[] {
  const hosts = ["any host"];
  if (match.host !== undefined) {
    const host = hostOf(match);
    const labels = host.split(".", DEPTH_MAX);
    hosts.push(host, ...labels.slice(1).map((_, i) => `*.${labels.slice(i + 1).join(".")}`));
  }
  const paths = new Set([pathOf(match), "/*"]);
  if (match.pathRegex === undefined) {
    const segments = prefixOf(canonicalPath(match.path ?? "/*")).split("/", DEPTH_MAX);
    for (let end = segments.length; end > 1; end -= 1) paths.add(`${segments.slice(0, end).join("/")}/*`);
  }
  return [...new Set(hosts)].flatMap((host) => [...paths].map((path) => `${host} ${path}`));
}
