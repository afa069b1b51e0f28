// How a route is matched and what it does, with every default filled in.
import { canonicalPath } from "./canonical-path.ts";
import type { RouteDocument } from "./schema.ts";
import type { CRITICALITIES, PROXIES, REDIRECT_STATUSES } from "./schema-routing.ts";

/** What the value of a header or of a query parameter must be. */
export type ValueCondition =
  | { name: string; kind: "equals"; value: string }
  | { name: string; kind: "regex"; pattern: string }
  | { name: string; kind: "present" }
  | { name: string; kind: "absent" };

/** Empty lists and nulls ask for nothing. */
export interface RouteMatch {
  listener: string | null;
  /** Lower case. */
  host: string | null;
  /** In its canonical spelling; `/*` where `pathRegex` decides. */
  path: string;
  pathRegex: string | null;
  methods: string[];
  /** Names in lower case. */
  headers: ValueCondition[];
  query: ValueCondition[];
  /** CIDRs */
  clients: string[];
  /** Lower case. */
  sni: string | null;
}

export interface HeaderRules {
  set: [name: string, value: string][];
  add: [name: string, value: string][];
  /** Lower case. */
  remove: string[];
}

export interface Sticky {
  cookie: string;
  /** Null: until the browser is closed. */
  maxAgeS: number | null;
  secure: boolean;
}

export interface Split {
  /** At least one weight is above 0. */
  pools: { pool: string; weight: number }[];
  /** Null: every request is drawn anew. */
  sticky: Sticky | null;
}

export interface MirrorSettings {
  pool: string;
  /** More than 0, up to 100. */
  percent: number;
  maxBodyBytes: number;
}

export interface Rewrite {
  stripPrefix: string | null;
  addPrefix: string | null;
  path: string | null;
  regex: { pattern: string; substitution: string } | null;
  /** Host and perhaps port for the backend; null: the client's. */
  host: string | null;
}

export interface Redirect {
  kind: "redirect";
  scheme: "http" | "https" | null;
  host: string | null;
  port: number | null;
  path: string | null;
  status: (typeof REDIRECT_STATUSES)[number];
}

export interface Respond {
  kind: "respond";
  status: number;
  body: string;
  contentType: string;
}

interface Routing {
  match: RouteMatch;
  priority: number;
  responseHeaders: HeaderRules | null;
}

export interface ProxiedRouting extends Routing {
  reply: null;
  proxy: (typeof PROXIES)[number];
  /** Of a split the first; which one serves is drawn for each request. */
  pool: string;
  /** The bound backend of a static or hybrid route; null of a dynamic one. */
  backend: string | null;
  /** hybrid; null: what the backend says of itself. */
  spillAbove: number | null;
  /** static: the others of the pool take over while its backend is not ready. */
  failover: boolean;
  criticality: (typeof CRITICALITIES)[number];
  split: Split | null;
  mirror: MirrorSettings | null;
  rewrite: Rewrite | null;
  requestHeaders: HeaderRules | null;
}

export interface AnsweredRouting extends Routing {
  reply: Redirect | Respond;
  proxy: null;
  pool: null;
  backend: null;
}

export function resolveRouting(route: RouteDocument): ProxiedRouting | AnsweredRouting {
  const reply = resolveReply(route);
  const routing = {
    match: resolveMatch(route.match),
    priority: route.priority ?? 0,
    responseHeaders: headerRules(route.headers?.response),
  };
  if (reply) return { ...routing, reply, proxy: null, pool: null, backend: null };
  return {
    ...routing,
    reply: null,
    proxy: route.proxy ?? "dynamic",
    pool: route.pool ?? route.split?.pools[0]?.pool ?? "",
    backend: route.backend ?? null,
    spillAbove: route.spillAbove ?? null,
    failover: route.failover ?? false,
    criticality: route.criticality ?? "normal",
    split: resolveSplit(route.split),
    mirror: resolveMirror(route.mirror),
    rewrite: resolveRewrite(route),
    requestHeaders: headerRules(route.headers?.request),
  };
}

type MatchDocument = RouteDocument["match"];

const resolveMatch = (match: MatchDocument): RouteMatch => ({
  listener: match.listener ?? null,
  host: match.host?.toLowerCase() ?? null,
  path: canonicalPath(match.path ?? "/*"),
  pathRegex: match.pathRegex ?? null,
  methods: match.methods ?? [],
  headers: conditions(match.headers, (name) => name.toLowerCase()),
  query: conditions(match.query, (name) => name),
  clients: match.clients ?? [],
  sni: match.sni?.toLowerCase() ?? null,
});

const conditions = (values: MatchDocument["headers"], spelled: (name: string) => string): ValueCondition[] =>
  Object.entries(values ?? {}).map(([written, value]) => {
    const name = spelled(written);
    if (typeof value === "string") return { name, kind: "equals", value };
    if (value.regex !== undefined) return { name, kind: "regex", pattern: value.regex };
    return { name, kind: value.present === false ? "absent" : "present" };
  });

function headerRules(
  rules: NonNullable<RouteDocument["headers"]>["request"] | undefined,
): HeaderRules | null {
  if (!rules) return null;
  const { set = {}, add = {}, remove = [] } = rules;
  return {
    set: Object.entries(set),
    add: Object.entries(add),
    remove: remove.map((name) => name.toLowerCase()),
  };
}

const resolveSplit = (split: RouteDocument["split"]): Split | null =>
  split
    ? {
        pools: split.pools,
        sticky: split.sticky
          ? {
              cookie: split.sticky.cookie,
              maxAgeS: split.sticky.maxAgeS ?? null,
              secure: split.sticky.secure ?? false,
            }
          : null,
      }
    : null;

const resolveMirror = (mirror: RouteDocument["mirror"]): MirrorSettings | null =>
  mirror
    ? { pool: mirror.pool, percent: mirror.percent ?? 100, maxBodyBytes: mirror.maxBodyBytes ?? 65_536 }
    : null;

function resolveRewrite({ rewrite, match }: RouteDocument): Rewrite | null {
  if (!rewrite) return null;
  const { stripPrefix = false, addPrefix, path, regex, host } = rewrite;
  const stripped = stripPrefix === true ? prefixOf(match.path ?? "/*") : stripPrefix || null;
  return {
    stripPrefix: stripped === null ? null : withoutClosingSlash(canonicalPath(stripped)),
    addPrefix: addPrefix === undefined ? null : withoutClosingSlash(canonicalPath(addPrefix)),
    path: path ?? null,
    regex: regex ?? null,
    host: host ?? null,
  };
}

/** The path of a match without its wildcard. */
export const prefixOf = (path: string): string => (path.endsWith("/*") ? path.slice(0, -2) : path);

const withoutClosingSlash = (path: string): string => (path.endsWith("/") ? path.slice(0, -1) : path);

function resolveReply({ redirect, respond }: RouteDocument): Redirect | Respond | null {
  if (redirect) {
    const { scheme = null, host = null, port = null, path = null, status = 302 } = redirect;
    return { kind: "redirect", scheme, host, port, path, status };
  }
  if (!respond) return null;
  const { status, body = "", contentType = "text/plain; charset=utf-8" } = respond;
  return { kind: "respond", status, body, contentType };
}
