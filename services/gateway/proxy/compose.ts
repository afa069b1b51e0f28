// The request as it goes to a backend, and the answer's fields as they go to the client: what the route, the pool and
// the checks of access say of them, put together.
import type { Want } from "@evenkeel/core/ledger/ledger.ts";
import type { Grant } from "../access/access.ts";
import { addField, type Fields, fieldOf } from "../messages/fields.ts";
import { hasNoBody } from "../messages/message.ts";
import type { ClientAddress, OutgoingRequest } from "../messages/outgoing.ts";
import type { Pick, Scheduling } from "../scheduling/scheduling.ts";
import type { Arrival } from "./arrival.ts";
import type { Destination } from "./destinations.ts";
import { requestFields } from "./request-fields.ts";
import { responseFields } from "./response-fields.ts";
import type { ProxiedRules } from "./route-rules.ts";

/** Without its body. Null: the path cannot be rewritten as the route asks. */
export function composeRequest(
  arrival: Arrival,
  { route, rewrite, authority, requestHeaders }: ProxiedRules,
  { pool }: Destination,
  grant: Grant | null,
): OutgoingRequest | null {
  const { head, target, connection } = arrival;
  const rewritten = rewrite === null ? target.forwarded : rewrite(target);
  if (rewritten === null) return null;
  const fields = requestFields(arrival, {
    ownCookie: pool.affinity?.cookie ?? null,
    removed: grant?.remove ?? [],
    set: grant?.set ?? [],
  });
  const { sendProxyProtocol } = pool.settings;
  const { responseHeadersMs, idleMs, tunnelIdleMs } = route.timeouts;
  return {
    method: head.method,
    target: rewritten,
    authority: authority ?? target.authority,
    scheme: connection.tls === null ? "http" : "https",
    fields: requestHeaders?.(fields) ?? fields,
    body: null,
    bodyLength: head.bodyLength,
    upgrade: head.upgrade,
    fresh: false,
    client: sendProxyProtocol === null ? null : addressOf(arrival),
    responseHeadersMs,
    idleMs,
    tunnelIdleMs,
  };
}

/** Of a client behind trusted proxies nobody knows the port. */
function addressOf({ client, connection }: Arrival): ClientAddress {
  const { peer, peerPort, localAddress, localPort } = connection;
  const destination = { address: localAddress, port: localPort };
  return { address: client, port: client === peer ? peerPort : 0, destination };
}

export interface Answered {
  method: string;
  status: number;
  /** The backend's. */
  fields: Fields;
  tunnel: boolean;
  pick: Pick;
  want: Want | null;
  /** Null: the route asks for nothing. */
  grant: Grant | null;
  /** The client is told which backend has answered. */
  shown: boolean;
}

/** What the backend says to the client, without what it says to us, and what we say ourselves. */
export function composeAnswer(
  { method, status, fields: told, tunnel, pick, want, grant, shown }: Answered,
  { responseHeaders }: ProxiedRules,
  { pool: { affinity, loadReports }, cookie }: Destination,
  scheduling: Scheduling,
): Fields {
  const fields = responseFields(told, {
    backend: shown ? pick.backend : null,
    reporting: loadReports !== null,
    ownCookie: affinity?.cookie ?? null,
    bodiless: hasNoBody(method, status),
  });
  const protocol = tunnel ? fieldOf(told, "upgrade") : undefined;
  if (protocol !== undefined) addField(fields, "upgrade", protocol); // the one of those asked for
  const report = loadReports?.read(told);
  if (report) scheduling.report(pick, report);
  if (affinity && want && want.stick !== pick.backend) {
    const bound = affinity.bind(pick.backend);
    if (bound !== null) addField(fields, "set-cookie", bound);
  }
  if (cookie !== null) addField(fields, "set-cookie", cookie);
  if (grant !== null) for (const part of grant.answer) fields.push(part);
  return responseHeaders?.(fields) ?? fields;
}
