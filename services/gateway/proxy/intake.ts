// What a request asks for, settled before anything is decided about it: where it goes, and whose it is.
import type { Incoming } from "../messages/incoming.ts";
import { readTarget } from "../routing/target.ts";
import type { Arrival } from "./arrival.ts";
import { clientBehind } from "./client-address.ts";
import { clientFault, type Failure, NO_ROUTE } from "./failure.ts";
import type { RouteRules } from "./route-rules.ts";
import type { Rules } from "./rules.ts";

/** The request and the rules of its route, or why it cannot be served. */
export function takeIn(
  { head, connection }: Incoming,
  rules: Rules,
): { arrival: Arrival; route: RouteRules } | Failure {
  const target = readTarget(head);
  if ("status" in target) return clientFault(target.status, target.text);
  const { peer, endpoint } = connection;
  const trusted = rules.trust(peer);
  const client = trusted ? clientBehind(peer, head.fields, rules.trust) : peer;
  const route = rules.routeOf({
    listener: endpoint.name,
    host: target.host,
    path: target.path,
    query: target.forwarded.slice(target.path.length + 1),
    method: head.method,
    fields: head.fields,
    client,
  });
  if (route === null) return NO_ROUTE;
  return { arrival: { head, connection, target, trusted, client }, route };
}
