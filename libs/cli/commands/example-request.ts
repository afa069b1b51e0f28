// A request that the first route of a configuration answers, for people to try.
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";

/** A curl command; null without routes, when every request would be answered 404. */
export function exampleRequest({ routes }: ConfigDocument, gatewayUrl: string): string | null {
  const [route] = routes;
  if (!route) return null;
  const { host, path = "/*" } = route.match;
  const header = host === undefined ? "" : `-H 'Host: ${host.replace("*", "www")}' `;
  return `curl -i ${header}${quoted(gatewayUrl + path.replace("*", ""))}`;
}

/** Paths may hold what a shell takes for its own. */
const quoted = (url: string): string =>
  /^[\w:/.%~@+,=-]*$/.test(url) ? url : `'${url.replaceAll("'", "'\\''")}'`;
