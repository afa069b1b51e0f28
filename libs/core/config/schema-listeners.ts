// What an HTTP listener offers beside its address: TLS, HTTP/2, and the limits that protect it.
import Type, { type Static } from "typebox";
import { closed, Ms } from "./fields.ts";

/** Certificates of one listener: each is looked through when a client names a server that none is made for. */
const MAX_CERTIFICATES = 1_000;

const File = (description: string) => Type.String({ minLength: 1, maxLength: 4_096, description });

const Count = (description: string, value: number, minimum: number, maximum: number) =>
  Type.Optional(Type.Integer({ minimum, maximum, default: value, description }));

const CertificateSchema = Type.Object(
  {
    cert: File("PEM file: the certificate, then those that lead from it to the root"),
    key: File("PEM file: its private key, without a passphrase"),
  },
  closed,
);

const TlsSchema = Type.Object(
  {
    certificates: Type.Array(CertificateSchema, {
      minItems: 1,
      maxItems: MAX_CERTIFICATES,
      description:
        "Chosen by the names in them; the first also for clients that name no server or an unknown one",
    }),
    minVersion: Type.Optional(
      Type.Enum(["1.2", "1.3"], { default: "1.2", description: "Older versions of TLS are refused" }),
    ),
    clientCa: Type.Optional(File("PEM file: who may sign certificates of clients (mutual TLS)")),
    clientAuth: Type.Optional(
      Type.Enum(["none", "request", "require"], {
        description:
          "Certificates of clients. request: verified where one is sent. Default: require with clientCa, else none",
      }),
    ),
  },
  { ...closed, description: "http and tcp: TLS ends here. Changed files are read again by themselves" },
);

const LimitsSchema = Type.Object(
  {
    headerBytes: Count("Request line and header section; past it 431", 16_384, 1_024, 1_048_576),
    headers: Count("Fields of a header section; past it 431", 100, 10, 10_000),
    headersTimeoutMs: Ms("For the whole header section, from its first byte; past it 408", 10_000, 100),
    keepAliveMs: Ms("A connection without a request is closed after this", 75_000, 100),
    clientIdleMs: Ms("Longest silence of a client that is to send a body or to read an answer", 30_000, 100),
    connections: Count("Open connections; more are closed at once", 50_000, 1, 1_000_000),
    connectionsPerAddress: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000,
        description: "Open connections of one client address; default: not bounded",
      }),
    ),
    streams: Count("HTTP/2: requests of one connection at once", 100, 1, 10_000),
  },
  { ...closed, description: "http only: what one client may take" },
);

export const LISTENER_FIELDS = {
  tls: Type.Optional(TlsSchema),
  http2: Type.Optional(
    Type.Boolean({
      default: true,
      description: "http only: HTTP/2 beside HTTP/1.1, agreed by ALPN in TLS, by prior knowledge without",
    }),
  ),
  limits: Type.Optional(LimitsSchema),
} as const;

export type TlsDocument = Static<typeof TlsSchema>;
