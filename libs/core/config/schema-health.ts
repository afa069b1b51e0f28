// The part of the configuration that says how it is found out that a backend cannot serve: by probes, and by what became
// of the requests of all gateways together.
import Type from "typebox";
import { closed, LIMITS, Ms, StatusRange, TOKEN_PATTERN } from "./fields.ts";

export const PROBE_PROTOCOLS = ["http", "tcp", "grpc"] as const;
export const PROBE_METHODS = ["GET", "HEAD", "OPTIONS"] as const;

const PROBE_TEXT_MAX = 1_024;
const ProbeText = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: PROBE_TEXT_MAX, description }));

export const HealthSchema = Type.Object(
  {
    protocol: Type.Enum([...PROBE_PROTOCOLS], {
      description: "http: a request. tcp: a connection. grpc: grpc.health.v1.Health/Check",
    }),
    port: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 65_535, description: "Default: the backend's own" }),
    ),
    path: Type.Optional(Type.String({ default: "/", pattern: "^/", description: "http only" })),
    method: Type.Optional(Type.Enum([...PROBE_METHODS], { default: "GET", description: "http only" })),
    host: ProbeText("http, grpc: Host, or :authority; default: the url's host and port"),
    headers: Type.Optional(
      Type.Record(Type.String({ pattern: TOKEN_PATTERN }), Type.String({ maxLength: 4_096 }), {
        maxProperties: 32,
        description: "http only: sent besides",
      }),
    ),
    expectStatus: Type.Optional(
      Type.Array(StatusRange, {
        minItems: 1,
        maxItems: 16,
        default: ["200-399"],
        description: "http only: good ones. A redirect is never followed",
      }),
    ),
    expectBody: ProbeText("http only: text that the first 16 KiB of the body must contain"),
    send: ProbeText("tcp only: sent once connected"),
    expect: ProbeText("tcp only: text that the first 16 KiB received must contain"),
    service: Type.Optional(
      Type.String({ maxLength: 256, default: "", description: "grpc only; empty: the server as a whole" }),
    ),
    servername: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 253,
        description: "https: SNI, and the name verified; default: the pool's tls.servername, else the host",
      }),
    ),
    intervalMs: Ms("Between two probes of a backend", 2_000, 100),
    fastIntervalMs: Type.Optional(
      Type.Integer({
        minimum: 50,
        maximum: LIMITS.timeoutMs,
        description: "While its health is in doubt. Default: timeoutMs, within 100 and intervalMs",
      }),
    ),
    timeoutMs: Ms("Past it a probe has failed", 1_000, 10),
    jitterPercent: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 50,
        default: 5,
        description: "Of the interval: how far a probe may be from its place in it, either way",
      }),
    ),
    rise: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 100, default: 2, description: "Good probes to return" }),
    ),
    fall: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 100, default: 3, description: "Failures in a row to leave" }),
    ),
    initial: Type.Optional(
      Type.Enum(["healthy", "unhealthy"], {
        default: "healthy",
        description: "Of a backend that is new. unhealthy: it serves once `rise` probes were good",
      }),
    ),
  },
  closed,
);

/** What requests show, over all gateways together. */
export const EjectSchema = Type.Object(
  {
    failures: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000,
        description: "In a row, over all gateways, to leave. Default: health.fall",
      }),
    ),
    failurePercent: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 100,
        default: 50,
        description: "Of the requests in a window, to leave; 0: no such rule",
      }),
    ),
    windowMs: Ms(
      "From its first failure on, the window in which a backend's requests are counted",
      10_000,
      100,
    ),
    minRequests: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000,
        default: 20,
        description: "With fewer in the window, failurePercent says nothing",
      }),
    ),
    maxPercent: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 100,
        default: 100,
        description:
          "Of the active backends that may be out before requests take out no more (probes still do); one always may",
      }),
    ),
    maxMs: Ms(
      "A backend that leaves again and again stays out longer each time, at most this long",
      300_000,
      100,
    ),
    statuses: Type.Optional(
      Type.Array(StatusRange, {
        maxItems: 16,
        default: ["502-504"],
        description: "Answers that count as the backend's failure",
      }),
    ),
  },
  closed,
);
