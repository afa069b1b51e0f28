// What a schema cannot say of listeners: which offers belong to which protocol, and who may ask clients for what.
import { pointer } from "./problem.ts";
import { type Draft, entries, type Part, type Rule, repeated, unreadable } from "./rule.ts";

export const LISTENER_RULES: Record<string, Rule> = {
  httpOnly,
  tlsWhereItCanEnd,
  clientCertificates,
  distinctCertificates,
  boundsPerAddress,
};

type Listener = Part<"listeners">;

const HTTP_ONLY: readonly ["http2" | "limits", string][] = [
  ["http2", "only an http listener speaks HTTP/2"],
  ["limits", "these are limits of requests, so only an http listener has them"],
];

function* httpOnly({ listeners }: Draft) {
  for (const [l, listener] of entries(listeners)) {
    if (listener.protocol === undefined || listener.protocol === "http") continue;
    for (const [key, why] of HTTP_ONLY) {
      const path = pointer("listeners", l, key);
      if (key in listener)
        yield { path, message: `${why}; this one is ${listener.protocol}. Remove \`${key}\`` };
    }
  }
}

const WITHOUT_TLS: Partial<Record<NonNullable<Listener["protocol"]>, string>> = {
  tls: "a tls listener passes TLS through unread. Remove `tls`, or use protocol http or tcp to end TLS here",
  udp: "TLS needs a stream: it can end on an http or a tcp listener, not on udp",
};

function* tlsWhereItCanEnd({ listeners }: Draft) {
  for (const [l, listener] of entries(listeners)) {
    const message = listener.protocol && WITHOUT_TLS[listener.protocol];
    if (message && "tls" in listener) yield { path: pointer("listeners", l, "tls"), message };
  }
}

function* clientCertificates({ listeners }: Draft) {
  for (const [l, { tls }] of entries(listeners)) {
    if (!tls || unreadable(tls, "clientAuth") || unreadable(tls, "clientCa")) continue;
    const { clientAuth, clientCa } = tls;
    if (clientAuth !== undefined && clientAuth !== "none" && clientCa === undefined) {
      const message = `clientAuth ${clientAuth} needs \`clientCa\`: whose certificates are to be believed`;
      yield { path: pointer("listeners", l, "tls", "clientAuth"), message };
    }
    if (clientAuth === "none" && clientCa !== undefined) {
      const message = "no client is asked for a certificate; remove `clientCa`, or `clientAuth: none`";
      yield { path: pointer("listeners", l, "tls", "clientCa"), message };
    }
  }
}

function* distinctCertificates({ listeners }: Draft) {
  for (const [l, { tls }] of entries(listeners)) {
    const place = (c: number) => pointer("listeners", l, "tls", "certificates", c, "cert");
    yield* repeated(tls?.certificates ?? [], ({ cert }) => cert, place, "certificate");
  }
}

/** Of one address no more can come than of all. */
function* boundsPerAddress({ listeners }: Draft) {
  for (const [l, { limits, streams, datagrams }] of entries(listeners)) {
    const bounds = [
      ["limits", "connectionsPerAddress", limits?.connectionsPerAddress, "connections", limits?.connections],
      [
        ...(["streams", "maxConnectionsPerAddress", streams?.maxConnectionsPerAddress] as const),
        ...(["maxConnections", streams?.maxConnections] as const),
      ],
      [
        ...(["datagrams", "maxSessionsPerAddress", datagrams?.maxSessionsPerAddress] as const),
        ...(["maxSessions", datagrams?.maxSessions] as const),
      ],
    ] as const;
    for (const [part, key, own, whole, all] of bounds) {
      if (own === undefined || all === undefined || own <= all) continue;
      const message = `${own} is never reached: ${whole} allows ${all} in all; lower it, or remove it`;
      yield { path: pointer("listeners", l, part, key), message };
    }
  }
}
