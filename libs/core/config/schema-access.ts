// Who may use a route, and how often. Redis holds the configuration, so it has hashes, public keys and the paths of
// files in it, never a secret.
import Type, { type Static } from "typebox";
import { closed, Name, TOKEN_PATTERN } from "./fields.ts";

/** Bounds of what one route may list: past them it is refused rather than slow. */
export const ACCESS_LIMITS = {
  networks: 10_000,
  keys: 10_000,
  users: 10_000,
  headers: 32,
  names: 1_000,
  forwardAuthMs: 30_000,
  /** Requests per ms; more cannot be told apart in the resolution of 1 µs. */
  requestsPerMs: 1_000,
  requests: 1_000_000_000,
  perMs: 31 * 24 * 3_600_000,
  /** Until a bucket is full again. */
  refillMs: 31 * 24 * 3_600_000,
} as const;

export const ASYMMETRIC = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
] as const;
export const SYMMETRIC = ["HS256", "HS384", "HS512"] as const;
export const RATE_KEYS = ["client", "route", "consumer", "header"] as const;

const HeaderName = (description: string) => Type.String({ pattern: TOKEN_PATTERN, description });
const Text = (description: string, maxLength = 512) => Type.String({ minLength: 1, maxLength, description });

const Forward = (value: boolean, description: string) =>
  Type.Optional(Type.Boolean({ default: value, description }));

const Cidrs = (description: string) =>
  Type.Optional(Type.Array(Type.String(), { minItems: 1, maxItems: ACCESS_LIMITS.networks, description }));

export const ClientCertificateSchema = Type.Object(
  {
    subjects: Type.Optional(
      Type.Array(Text("As RFC 4514 writes it, such as CN=alice,O=Example", 1_024), {
        minItems: 1,
        maxItems: ACCESS_LIMITS.names,
        description: "Whole subjects",
      }),
    ),
    names: Type.Optional(
      Type.Array(Text("Such as DNS:a.example or URI:spiffe://prod/billing", 1_024), {
        minItems: 1,
        maxItems: ACCESS_LIMITS.names,
        description: "Subject alternative names with their kind",
      }),
    ),
    fingerprints: Type.Optional(
      Type.Array(Text("64 hexadecimal digits, with or without colons", 128), {
        minItems: 1,
        maxItems: ACCESS_LIMITS.names,
        description: "SHA-256 of whole certificates",
      }),
    ),
  },
  {
    ...closed,
    description: "A certificate which the listener has verified; one match is enough, no list: any will do",
  },
);

export const ApiKeysSchema = Type.Object(
  {
    header: Type.Optional(
      Type.String({ pattern: TOKEN_PATTERN, default: "x-api-key", description: "Where the key stands" }),
    ),
    keys: Type.Array(
      Type.Object(
        {
          name: Name("The consumer whose key it is; one may have several keys"),
          sha256: Type.String({ description: "SHA-256 of the key, 64 hexadecimal digits" }),
        },
        closed,
      ),
      { minItems: 1, maxItems: ACCESS_LIMITS.keys },
    ),
    forward: Forward(false, "Backends see the key, too"),
  },
  closed,
);

export const BasicSchema = Type.Object(
  {
    realm: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        default: "Restricted",
        description: "Shown by browsers that ask for the password",
      }),
    ),
    users: Type.Array(
      Type.Object(
        {
          name: Text("Without a colon; the consumer", 128),
          hash: Type.String({
            description:
              "$scrypt$ln=15,r=8,p=1$<salt>$<hash>, or for long random passwords only sha256:<64 hexadecimal digits>",
          }),
        },
        closed,
      ),
      { minItems: 1, maxItems: ACCESS_LIMITS.users },
    ),
    forward: Forward(false, "Backends see the password, too"),
  },
  closed,
);

export const JwtSchema = Type.Object(
  {
    jwks: Type.Optional(Text("https://… of a JSON Web Key Set", 2_048)),
    keyFile: Type.Optional(
      Text("Path, on each gateway, of a public key or certificate (PEM) or a JSON Web Key Set", 1_024),
    ),
    secretFile: Type.Optional(
      Text("Path, on each gateway, of the secret for HS256, HS384 and HS512: at least 32 bytes", 1_024),
    ),
    issuer: Text("What the claim iss must be"),
    audiences: Type.Array(Text("Audience"), {
      minItems: 1,
      maxItems: 16,
      description: 'One of them must be in the claim aud; ["*"]: not looked at',
    }),
    algorithms: Type.Optional(
      Type.Array(Type.Enum([...ASYMMETRIC, ...SYMMETRIC]), {
        minItems: 1,
        maxItems: 16,
        description: "Believed ones; default: RS256 and ES256, with `secretFile` HS256",
      }),
    ),
    header: Type.Optional(
      Type.String({
        pattern: TOKEN_PATTERN,
        default: "authorization",
        description: "Where the token stands; in authorization after Bearer",
      }),
    ),
    claimsToHeaders: Type.Optional(
      Type.Record(Type.String({ minLength: 1, maxLength: 256 }), HeaderName("Header of the request"), {
        default: {},
        description: "Claim → header that backends get it in; what clients send in such a header is removed",
      }),
    ),
    clockToleranceMs: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 300_000,
        default: 5_000,
        description: "How far the issuer's clock may be off",
      }),
    ),
    forward: Forward(true, "Backends see the token, too"),
  },
  closed,
);

const HeaderNames = (description: string, value: readonly string[]) =>
  Type.Optional(
    Type.Array(HeaderName("Header"), {
      maxItems: ACCESS_LIMITS.headers,
      default: [...value],
      description,
    }),
  );

export const FORWARDED_TO_AUTH = ["authorization", "cookie"] as const;

export const ForwardAuthSchema = Type.Object(
  {
    url: Text("http://… or https://…, asked with GET before each request", 2_048),
    timeoutMs: Type.Optional(
      Type.Integer({
        minimum: 10,
        maximum: ACCESS_LIMITS.forwardAuthMs,
        default: 1_000,
        description: "For the whole answer",
      }),
    ),
    requestHeaders: HeaderNames(
      "Of the request, sent along beside X-Forwarded-Method, -Proto, -Host, -Uri and -For",
      FORWARDED_TO_AUTH,
    ),
    responseHeaders: HeaderNames(
      "Of a 2xx answer, which backends get; what clients send in such a header is removed",
      [],
    ),
    failOpen: Type.Optional(
      Type.Boolean({
        default: false,
        description: "Requests pass while the service does not answer, or answers 5xx",
      }),
    ),
  },
  closed,
);

export const AccessSchema = Type.Object(
  {
    allow: Cidrs("Client networks; all others are refused"),
    deny: Cidrs("Client networks that are refused, whatever `allow` says"),
    clientCertificate: Type.Optional(ClientCertificateSchema),
    apiKeys: Type.Optional(ApiKeysSchema),
    basic: Type.Optional(BasicSchema),
    jwt: Type.Optional(JwtSchema),
    forwardAuth: Type.Optional(ForwardAuthSchema),
    consumerHeader: Type.Optional(
      HeaderName("Tells backends who it is: name of the key, user, claim sub, or subject of the certificate"),
    ),
  },
  { ...closed, description: "Who may use the route; every part has to agree" },
);

export const RateLimitSchema = Type.Object(
  {
    requests: Type.Integer({
      minimum: 1,
      maximum: ACCESS_LIMITS.requests,
      description: "This many in `perMs`, evenly spread",
    }),
    perMs: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: ACCESS_LIMITS.perMs,
        default: 1_000,
        description: "Time they are for",
      }),
    ),
    burst: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: ACCESS_LIMITS.requests,
        description: "Most at once after a pause; default: `requests`",
      }),
    ),
    key: Type.Optional(
      Type.Enum([...RATE_KEYS], {
        default: "client",
        description:
          "Who shares the limit: requests of one client address (of IPv6 the /64), all of the route, of one consumer, or with one value of `header`",
      }),
    ),
    header: Type.Optional(HeaderName("key: header only; requests without it count for their client address")),
  },
  { ...closed, description: "Shared by all gateways; requests pass while Redis does not answer" },
);

export const ACCESS_FIELDS = {
  access: Type.Optional(AccessSchema),
  rateLimit: Type.Optional(RateLimitSchema),
} as const;

export type AccessDocument = Static<typeof AccessSchema>;
export type RateLimitDocument = Static<typeof RateLimitSchema>;
