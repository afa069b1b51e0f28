// What listeners offer below HTTP: the PROXY protocol, TCP, UDP.
import Type from "typebox";
import { closed, Ms } from "./fields.ts";

/** A week: connections of databases and message queues may be silent for long. */
const MAX_IDLE_MS = 604_800_000;
/** Connections or sessions of one listener. */
const MAX_OPEN = 1_000_000;

const Count = (description: string, value: number) =>
  Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_OPEN, default: value, description }));
const Bound = (description: string) =>
  Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_OPEN, description }));
const Idle = (description: string, value: number) =>
  Type.Optional(Type.Integer({ minimum: 100, maximum: MAX_IDLE_MS, default: value, description }));

export const STREAM_DEFAULTS = {
  proxyProtocol: { timeoutMs: 5_000 },
  streams: { idleMs: 3_600_000, maxConnections: 50_000, helloTimeoutMs: 5_000 },
  datagrams: { idleMs: 30_000, maxSessions: 10_000 },
} as const;

const { proxyProtocol, streams, datagrams } = STREAM_DEFAULTS;

export const STREAM_LISTENER_FIELDS = {
  proxyProtocol: Type.Optional(
    Type.Object(
      {
        trusted: Type.Array(Type.String(), {
          minItems: 1,
          maxItems: 1_000,
          description:
            "CIDRs that must begin each connection with a PROXY protocol header, v1 or v2; others must not, and theirs is data",
        }),
        timeoutMs: Ms("For the whole PROXY protocol header", proxyProtocol.timeoutMs),
      },
      { ...closed, description: "http, tcp, tls: balancers in front say who their client is" },
    ),
  ),
  streams: Type.Optional(
    Type.Object(
      {
        idleMs: Idle("A connection silent in both directions is cut off after this", streams.idleMs),
        maxConnections: Count("Open connections; more are reset at once", streams.maxConnections),
        maxConnectionsPerAddress: Bound("Open connections of one client address; default: not bounded"),
        helloTimeoutMs: Ms("tls: for a client's whole ClientHello", streams.helloTimeoutMs),
      },
      { ...closed, description: "tcp, tls: bounds of connections" },
    ),
  ),
  datagrams: Type.Optional(
    Type.Object(
      {
        idleMs: Idle("A session silent in both directions ends after this", datagrams.idleMs),
        maxSessions: Count("Sessions at once; the one silent longest makes room", datagrams.maxSessions),
        maxSessionsPerAddress: Bound("Sessions of one client address at once; default: not bounded"),
        responses: Type.Optional(
          Type.Integer({
            minimum: 0,
            maximum: 1_000_000,
            description:
              "Answers to each datagram of a client; with the last one the session ends. Default: only silence ends it",
          }),
        ),
      },
      { ...closed, description: "udp: bounds of sessions; one is a client's address and port" },
    ),
  ),
} as const;
