// What happens when things go wrong, or slow: timeouts, retries, limits of bodies, and how backends are spoken to.
import Type from "typebox";
import { closed, LIMITS, Ms, StatusRange } from "./fields.ts";

const FilePath = (description: string) => Type.String({ minLength: 1, maxLength: 4_096, description });

export const ROUTE_RESILIENCE_FIELDS = {
  timeouts: Type.Optional(
    Type.Object(
      {
        responseHeadersMs: Ms("From request sent to response headers; past it 504", 30_000),
        idleMs: Ms("Longest silence inside a response body", 60_000),
        tunnelIdleMs: Ms("Longest silence of both sides of a WebSocket or other upgrade", 3_600_000),
        requestMs: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: LIMITS.timeoutMs,
            description:
              "From the request to the end of its answer; past it 504, or cut off. Default: no bound",
          }),
        ),
      },
      closed,
    ),
  ),
  retries: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: LIMITS.retries,
      default: 3,
      description: "Attempts after the first, where the request may be repeated and the budget has room",
    }),
  ),
  retryStatuses: Type.Optional(
    Type.Array(StatusRange, {
      maxItems: 16,
      default: [],
      description: "Answers that are thrown away and asked for elsewhere, where the request may be repeated",
    }),
  ),
  maxBodyBytes: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description: "Largest request body; past it 413. Default: no bound",
    }),
  ),
} as const;

export const UPSTREAM_FIELDS = {
  breaker: Type.Optional(
    Type.Object(
      {
        failures: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: 1_000,
            default: 5,
            description: "Connects failed in a row that open it",
          }),
        ),
        windowMs: Ms("Over which failed attempts are reckoned: half of at least 20 open it", 10_000),
        openMs: Ms("Nothing is sent for so long, then one attempt", 2_000),
      },
      {
        ...closed,
        description: "Each gateway's own, for each backend. Default: none, the shared health decides",
      },
    ),
  ),
  hedge: Type.Optional(
    Type.Object(
      {
        budgetPercent: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: 100,
            default: 5,
            description: "Of the requests, sent to a second backend at most",
          }),
        ),
      },
      {
        ...closed,
        description:
          "A second backend for idempotent requests that take longer than 95 % of the pool's. Default: none",
      },
    ),
  ),
  connectTimeoutMs: Ms("Longest connect to a backend, TLS included", 2_000),
  idleConnectionMs: Ms(
    "A connection without a request is kept this long, unless the backend's Keep-Alive field says else",
    4_000,
  ),
  maxConnections: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 100_000,
      default: 10_240,
      description:
        "Requests and tunnels of one gateway to one backend at once; past it the next backend is tried, else 503",
    }),
  ),
  http: Type.Optional(
    Type.Enum(["1.1", "2"], {
      default: "1.1",
      description:
        "Spoken to the backends. 2: by ALPN with https://, with prior knowledge (h2c) with http://",
    }),
  ),
  tls: Type.Optional(
    Type.Object(
      {
        ca: Type.Optional(
          FilePath("PEM: who may have signed the backends' certificates; default: Node's own"),
        ),
        servername: Type.Optional(
          Type.String({
            minLength: 1,
            maxLength: 253,
            description: "SNI, and the name checked; default: the url's host",
          }),
        ),
        verify: Type.Optional(
          Type.Boolean({ default: true, description: "false: any certificate will do. For tests only" }),
        ),
        cert: Type.Optional(FilePath("PEM: the gateway's own certificate, for backends that ask for one")),
        key: Type.Optional(FilePath("PEM: its private key")),
        minVersion: Type.Optional(
          Type.Enum(["1.2", "1.3"], { default: "1.2", description: "Older versions are not agreed to" }),
        ),
      },
      { ...closed, description: "For backends of https://" },
    ),
  ),
  sendProxyProtocol: Type.Optional(
    Type.Enum(["v1", "v2"], {
      description:
        "Tells backends the client's address ahead of all else; connections are then used for one request only",
    }),
  ),
} as const;

export const PROTECTION_FIELDS = {} as const;
