// What a schema cannot say of rewrites, header rules, redirects and fixed answers: that their parts fit together, and that
// what they make of a request is a valid one.
import { capturingFault, compileCapturing } from "../regex/regex.ts";
import { hostFault, pathFault, requestPathFault } from "./patterns.ts";
import { type Problem, pointer, shown } from "./problem.ts";
import { prefixOf } from "./resolve-routing.ts";
import { checked, entries, type Part, type Rule, readable, repeated } from "./rule.ts";

type Route = Part<"routes">;
type Rewrite = NonNullable<Route["rewrite"]>;
/** The place of something in the route. */
type At = (...parts: (string | number)[]) => string;
type RouteRule = (route: Route, at: At) => Iterable<Problem>;

const forEachRoute = (rule: RouteRule): Rule =>
  function* ({ routes }) {
    for (const [r, route] of entries(routes))
      yield* rule(route, (...parts) => pointer("routes", r, ...parts));
  };

export const REWRITING_RULES: Record<string, Rule> = {
  rewriteParts: forEachRoute(rewriteParts),
  rewritePaths: forEachRoute(rewritePaths),
  rewriteRegex: forEachRoute(rewriteRegex),
  rewriteHost: forEachRoute(rewriteHost),
  headerRules: forEachRoute(headerRules),
  redirects: forEachRoute(redirects),
  responses: forEachRoute(responses),
  redirectsToItsOwnScheme,
};

/** Each pair decides the whole path, so that one of them would have no effect. */
const CONTRADICTIONS: readonly [keyof Rewrite, keyof Rewrite][] = [
  ["path", "stripPrefix"],
  ["path", "addPrefix"],
  ["path", "regex"],
  ["regex", "stripPrefix"],
  ["regex", "addPrefix"],
];

function* rewriteParts({ rewrite }: Route, at: At) {
  if (!rewrite) return;
  if (Object.keys(rewrite).length === 0) yield { path: at("rewrite"), message: "is empty; remove it" };
  const pair = CONTRADICTIONS.find(([a, b]) => a in rewrite && b in rewrite);
  if (!pair) return;
  const message = `\`${pair[0]}\` makes the whole path, so \`${pair[1]}\` has no effect; remove one of them`;
  yield { path: at("rewrite", pair[1]), message };
}

/** A path as it is, without a wildcard. */
const plainPathFault = (text: string): string | null => {
  const fault = pathFault(text);
  if (fault !== null) return fault;
  if (text.includes("*")) return "must not hold `*`";
  return text.startsWith("//") ? "must not begin with //, which reads as a host" : null;
};

function* rewritePaths({ rewrite, match }: Route, at: At) {
  const { stripPrefix, addPrefix, path } = rewrite ?? {};
  if (addPrefix === "/") {
    yield { path: at("rewrite", "addPrefix"), message: "every path begins with / already; remove it" };
  }
  yield* checked(path, plainPathFault, at("rewrite", "path"));
  yield* checked(addPrefix, plainPathFault, at("rewrite", "addPrefix"));
  if (stripPrefix === undefined || stripPrefix === false) return;
  const place = at("rewrite", "stripPrefix");
  if (stripPrefix !== true) yield* checked(stripPrefix, plainPathFault, place);
  if (stripPrefix === "/") yield { path: place, message: "a path without its / is none; remove it" };
  else if (typeof stripPrefix === "string" && neverBegins(match, stripPrefix)) {
    const message = `no path of the match \`${match?.path}\` begins with ${stripPrefix}, so nothing is stripped`;
    yield { path: place, message };
  }
  if (stripPrefix !== true || !match) return;
  if ("pathRegex" in match) {
    const message = "with `pathRegex` there is no prefix to strip; write it out, or use `regex`";
    yield { path: place, message };
  } else if (!("path" in match) || (match.path !== undefined && prefixOf(match.path).length < 2)) {
    yield { path: place, message: "the match has no prefix to strip; give it a `path` such as /api/*" };
  }
}

function neverBegins(match: Route["match"], stripped: string): boolean {
  const prefix = stripped.replace(/\/$/, "");
  if (!match || match.path === undefined || "pathRegex" in match) return false;
  const matched = `${prefixOf(match.path)}/`;
  const below = match.path.endsWith("/*") && `${prefix}/`.startsWith(matched);
  return !below && !matched.startsWith(`${prefix}/`);
}

function* rewriteRegex({ rewrite }: Route, at: At) {
  const { pattern, substitution } = rewrite?.regex ?? {};
  yield* checked(pattern, capturingFault, at("rewrite", "regex", "pattern"));
  const groups =
    pattern === undefined || capturingFault(pattern) !== null ? 9 : compileCapturing(pattern).groups;
  const fault = (text: string) => substitutionFault(text, groups);
  yield* checked(substitution, fault, at("rewrite", "regex", "substitution"));
}

function substitutionFault(text: string, groups: number): string | null {
  if (!text.startsWith("/") || text.startsWith("//")) return 'must start with "/", and with only one';
  const literal = text.replaceAll(/\$(?:\$|[1-9])/g, "");
  const fault = requestPathFault(`/${literal.replaceAll("$", "")}`);
  if (fault !== null) return fault;
  if (literal.includes("$")) return "a $ is followed by 1 to 9, or by another $";
  const highest = Math.max(
    0,
    ...[...text.replaceAll("$$", "").matchAll(/\$([1-9])/g)].map((one) => Number(one[1])),
  );
  if (highest <= groups) return null;
  return `the pattern has ${groups === 0 ? "no groups" : `${groups} groups`}, so there is no $${highest}`;
}

/** A host that can be sent: no wildcard. @param withPort may have one behind it */
const namedHostFault =
  (withPort: boolean) =>
  (text: string): string | null => {
    const port = withPort ? /:(\d{1,5})$/.exec(text)?.[1] : undefined;
    const host = port === undefined ? text : text.slice(0, -port.length - 1);
    if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535))
      return `port "${port}" does not exist`;
    if (/^\[[0-9a-f:.]+\]$/i.test(host)) return URL.canParse(`http://${host}`) ? null : "is no IPv6 address";
    if (host.includes("*")) return "must be one host, without `*`";
    return hostFault(host);
  };

function* rewriteHost({ rewrite }: Route, at: At) {
  yield* checked(rewrite?.host, namedHostFault(true), at("rewrite", "host"));
}

const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/;
/** Tab, visible ASCII, and the upper half of Latin-1; no blanks around it. */
const HEADER_VALUE = /^(?![ \t])[\t\x20-\x7e\x80-\xff]*(?<![ \t])$/;

const HOP = "it belongs to one connection, and there are two";
const FRAMING = "it frames the message";
/** What header rules must leave alone, and why. */
const UNTOUCHABLE: Readonly<Record<string, string>> = {
  host: "use `rewrite.host`",
  "content-length": FRAMING,
  "transfer-encoding": FRAMING,
  trailer: FRAMING,
  expect: FRAMING,
  connection: HOP,
  "keep-alive": HOP,
  "proxy-connection": HOP,
  "http2-settings": HOP,
  te: HOP,
  upgrade: HOP,
};

function* headerRules(route: Route, at: At) {
  const { headers } = route;
  if ("headers" in route && headers && Object.keys(headers).length === 0) {
    yield { path: at("headers"), message: "is empty; remove it" };
  }
  if (headers?.request && ("redirect" in route || "respond" in route)) {
    const message = "nobody gets this request: the route answers by itself; remove it";
    yield { path: at("headers", "request"), message };
  }
  for (const side of ["request", "response"] as const) {
    const { set = {}, add = {}, remove } = headers?.[side] ?? {};
    yield* namesAndValues(set, (name) => at("headers", side, "set", name));
    yield* namesAndValues(add, (name) => at("headers", side, "add", name));
    for (const [i, name] of entries(remove)) yield* touchable(name, at("headers", side, "remove", i));
    const names = Object.keys(set);
    yield* repeated(
      names,
      (name) => name.toLowerCase(),
      (i) => at("headers", side, "set", names[i] as string),
      "header",
    );
  }
}

function* namesAndValues(fields: Record<string, string | undefined>, place: (name: string) => string) {
  for (const [name, value] of Object.entries(fields)) {
    if (TOKEN.test(name)) yield* touchable(name, place(name));
    else yield { path: place(name), message: `${shown(name)} is not the name of a header` };
    if (value === undefined || HEADER_VALUE.test(value)) continue;
    const message = `must be Latin-1 text without control characters, and without blanks around it; got ${shown(value)}`;
    yield { path: place(name), message };
  }
}

function* touchable(name: string, path: string): Generator<Problem> {
  const reason = UNTOUCHABLE[name.toLowerCase()];
  if (reason !== undefined) yield { path, message: `${shown(name)} is left to the gateway: ${reason}` };
}

const DESTINATION = ["scheme", "host", "port", "path"] as const;

function* redirects({ redirect, match }: Route, at: At) {
  if (!redirect) return;
  yield* checked(redirect.host, namedHostFault(false), at("redirect", "host"));
  yield* checked(redirect.path, plainPathFault, at("redirect", "path"));
  const own = { host: match?.host?.toLowerCase(), path: match?.path };
  const same = (key: (typeof DESTINATION)[number]) =>
    (key === "host" && redirect.host !== undefined && redirect.host.toLowerCase() === own.host) ||
    (key === "path" && redirect.path !== undefined && redirect.path === own.path);
  if (DESTINATION.some((key) => key in redirect && !same(key))) return;
  const message = "leads back to where the request came; give it another scheme, host, port or path";
  yield { path: at("redirect"), message };
}

/** TLS that ends before the gateway is unknown here: then a header such as X-Forwarded-Proto tells what is to be led on. */
function* redirectsToItsOwnScheme({ listeners, routes }: Parameters<Rule>[0]) {
  const carriers = listeners?.filter((listener) => listener?.protocol === "http");
  if (!carriers?.length || !listeners?.every((one) => one !== undefined && readable(one, "protocol"))) return;
  for (const [r, { redirect, match }] of entries(routes)) {
    if (!redirect?.scheme || DESTINATION.some((key) => key !== "scheme" && key in redirect)) continue;
    const own = carriers.filter((one) => match?.listener === undefined || one?.name === match.listener);
    const schemes = own.map((one) => (one && "tls" in one ? "https" : "http"));
    if (schemes.length === 0 || schemes.some((scheme) => scheme !== redirect.scheme)) continue;
    const message = `its requests come by ${redirect.scheme} already, so it leads back to where they came`;
    yield { path: pointer("routes", r, "redirect", "scheme"), message };
  }
}

const BODILESS: readonly number[] = [204, 205, 304];

function* responses({ respond }: Route, at: At) {
  if (!respond) return;
  const { status, body, contentType } = respond;
  if (status !== undefined && BODILESS.includes(status) && body) {
    yield { path: at("respond", "body"), message: `an answer of status ${status} has no body; remove it` };
  }
  if (contentType === undefined || (HEADER_VALUE.test(contentType) && contentType !== "")) return;
  const path = at("respond", "contentType");
  yield { path, message: `must be a media type such as text/html; got ${shown(contentType)}` };
}
