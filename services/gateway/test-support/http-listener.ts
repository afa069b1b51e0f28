// For tests of listeners: listeners as a configuration makes them, and HTTP ones whose handler is the test's.
import { fileURLToPath } from "node:url";
import { type Listener, resolveConfig } from "@evenkeel/core/config/resolve.ts";
import type { ListenerDocument } from "@evenkeel/core/config/schema.ts";
import { acceptProxyHeader } from "../l4/proxy-protocol.ts";
import type { Dropped } from "../listeners/accept.ts";
import { bindAlone } from "../listeners/bind.ts";
import type { Certificate } from "../listeners/certificates.ts";
import { createHttpOpener } from "../listeners/http-listener.ts";
import type { Opener } from "../listeners/opened.ts";
import type { TlsFault } from "../listeners/tls-contexts.ts";
import type { ClientEvents, Incoming } from "../messages/incoming.ts";

/** One for HTTP on loopback, on a port of the system's choice, unless `document` says else. */
export function listenerOf(document: Partial<ListenerDocument> = {}): Listener {
  const whole = { name: "web", protocol: "http" as const, port: 0, address: "127.0.0.1", ...document };
  return resolveConfig({ listeners: [whole], routes: [], pools: [] }).listeners[0] as Listener;
}

/** What a request has been told, in order. */
export interface Seen extends ClientEvents {
  readonly incoming: Incoming;
  readonly told: string[];
  readonly body: Buffer[];
}

export function watchRequest(incoming: Incoming): Seen {
  const told: string[] = [];
  const body: Buffer[] = [];
  return {
    ...{ incoming, told, body },
    onClientData: (chunk) => void body.push(chunk),
    onClientEnd: (trailers) => void told.push(`end ${JSON.stringify(trailers)}`),
    onClientDrain: () => void told.push("drain"),
    onClientGone: (reason) => void told.push(`gone: ${reason}`),
    onClientFault: (status, reason) => void told.push(`fault ${status}: ${reason}`),
  };
}

/** A whole answer at once. */
export function answer(
  incoming: Incoming,
  status = 200,
  body: string | Buffer = "ok",
  fields: string[] = [],
): void {
  incoming.sendHead({ status, reason: "", fields, bodyLength: body.length, tunnel: false });
  if (body.length > 0) incoming.write(Buffer.from(body));
  incoming.end(null);
}

/** Openers of which only that for http works, and all that they have told. */
export function testOpeners(handle: (seen: Seen) => void = () => {}) {
  const requests: Seen[] = [];
  const refused: number[] = [];
  const dropped: Dropped[] = [];
  const tlsFaults: TlsFault[] = [];
  const certificates: (readonly Certificate[])[] = [];
  const reloads: (string | null)[] = [];
  const http = createHttpOpener({
    bind: bindAlone,
    handler(incoming) {
      const seen = watchRequest(incoming);
      requests.push(seen);
      handle(seen);
      return seen;
    },
    onRefused: (status) => void refused.push(status),
    onDropped: (_, why) => void dropped.push(why),
    acceptProxyHeader,
    tls: {
      onTlsError: (fault) => void tlsFaults.push(fault),
      onCertificates: (_, all) => void certificates.push(all),
      onReload: (_, error) => void reloads.push(error?.message ?? null),
    },
  });
  const none: Opener = () => Promise.reject(new Error("not in this test"));
  const openers = { http, tcp: none, tls: none, udp: none };
  return { openers, requests, refused, dropped, tlsFaults, certificates, reloads };
}

/** Path of a file in certificates/. */
export const certificateFile = (name: string): string =>
  fileURLToPath(new URL(`certificates/${name}`, import.meta.url));
