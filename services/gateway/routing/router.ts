// Which route serves a request. Compiled once per configuration into maps, so that a lookup costs a few map reads
// however many routes there are. The most specific match wins: exact host, then the longest wildcard, then any
// host; within a host the exact path, then the longest prefix. A host without a matching path falls through.
import type { Route } from "@evenkeel/core/config/resolve.ts";

export interface Router {
  /**
   * @param host lower case, without port
   * @param path without query, as it will be forwarded
   */
  match(host: string, path: string): Route | null;
}

interface Paths {
  exact: Map<string, Route>;
  /** Keyed without the closing "/*": "" is every path. */
  prefixes: Map<string, Route>;
  /** Bounds the walk over a long path. */
  longestPrefix: number;
}

export function compileRoutes(routes: readonly Route[]): Router {
  const hosts = new Map<string, Paths>();
  /** Keyed without the leading "*." */
  const wildcards = new Map<string, Paths>();
  const anyHost = emptyPaths();
  for (const route of routes) {
    const { host } = route.match;
    if (host === null) addPath(anyHost, route);
    else if (host.startsWith("*.")) addPath(entry(wildcards, host.slice(2)), route);
    else addPath(entry(hosts, host), route);
  }
  return {
    match(host, path) {
      const own = hosts.get(host);
      const exact = own ? matchPath(own, path) : null;
      if (exact) return exact;
      return (wildcards.size > 0 && matchWildcard(wildcards, host, path)) || matchPath(anyHost, path);
    },
  };
}

/** Takes labels off the left, so the longest suffix is tried first. Host names are bounded by the header size. */
function matchWildcard(wildcards: Map<string, Paths>, host: string, path: string): Route | null {
  for (let dot = host.indexOf("."); dot > 0; dot = host.indexOf(".", dot + 1)) {
    const paths = wildcards.get(host.slice(dot + 1));
    const route = paths ? matchPath(paths, path) : null;
    if (route) return route;
  }
  return null;
}

function matchPath({ exact, prefixes, longestPrefix }: Paths, path: string): Route | null {
  const route = exact.get(path);
  if (route) return route;
  let end = path.length <= longestPrefix ? path.length : path.lastIndexOf("/", longestPrefix);
  while (end >= 0) {
    const prefix = prefixes.get(path.slice(0, end));
    if (prefix) return prefix;
    end = end === 0 ? -1 : path.lastIndexOf("/", end - 1);
  }
  return null;
}

function addPath(paths: Paths, route: Route): void {
  const { path } = route.match;
  if (!path.endsWith("/*")) {
    paths.exact.set(path, route);
    return;
  }
  const prefix = path.slice(0, -2);
  paths.prefixes.set(prefix, route);
  paths.longestPrefix = Math.max(paths.longestPrefix, prefix.length);
}

function entry(table: Map<string, Paths>, key: string): Paths {
  const paths = table.get(key) ?? emptyPaths();
  table.set(key, paths);
  return paths;
}

const emptyPaths = (): Paths => ({ exact: new Map(), prefixes: new Map(), longestPrefix: 0 });
