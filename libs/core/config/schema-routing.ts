// How a request finds its route, and what the route does with it beside passing it on.
import Type, { type Static } from "typebox";
import { closed, LIMITS, Name, TOKEN_PATTERN } from "./fields.ts";

/** Bounds of one route, and of all: past them a configuration is refused rather than slow. */
export const ROUTING_LIMITS = {
  /** Of all matches together; each takes some KiB of a gateway's memory. */
  regexes: 1_000,
  /** All of them may be tried on one request: each takes up to 0.1 ms for the longest path. */
  regexesPerHost: 50,
  methods: 16,
  /** Headers or query parameters of one match. */
  conditions: 16,
  clients: 1_000,
  valueLength: 4_096,
  priority: 1_000_000,
  spillAbove: 1_000_000,
  splitPools: 16,
  mirroredBytes: 1_048_576,
  headerRules: 32,
  bodyLength: 65_536,
} as const;

export const PROXIES = ["static", "dynamic", "hybrid"] as const;
export const CRITICALITIES = ["critical", "normal", "background"] as const;
export const REDIRECT_STATUSES = [301, 302, 303, 307, 308] as const;

/** Text that must be equal, or a mapping that says more. One level, so that faults are told of the place they are at. */
const ValueSchema = Type.Unsafe<string | { regex?: string; present?: boolean }>({
  type: ["string", "object"],
  maxLength: ROUTING_LIMITS.valueLength,
  description: 'The whole value; or { regex: "^a" }, found anywhere in it; or { present: true }, or false',
  properties: {
    regex: { type: "string", description: "Without backreferences and look-around" },
    present: { type: "boolean" },
  },
  additionalProperties: false,
});

const Values = (description: string) =>
  Type.Optional(
    Type.Unsafe<Record<string, Static<typeof ValueSchema>>>({
      type: "object",
      additionalProperties: ValueSchema,
      maxProperties: ROUTING_LIMITS.conditions,
      description,
    }),
  );

export const RouteMatchSchema = Type.Object(
  {
    listener: Type.Optional(
      Name("Only what comes through this listener; one of protocol tcp, tls or udp has to be named"),
    ),
    host: Type.Optional(Type.String({ description: "shop.example.com, or *.example.com" })),
    path: Type.Optional(Type.String({ description: "/exact, or /prefix/*", default: "/*" })),
    pathRegex: Type.Optional(
      Type.String({
        description:
          "In place of `path`: found anywhere in it unless ^ and $ say else. Without backreferences and look-around; costs one step per character",
      }),
    ),
    methods: Type.Optional(
      Type.Array(Type.String({ pattern: TOKEN_PATTERN }), {
        minItems: 1,
        maxItems: ROUTING_LIMITS.methods,
        description: "Case matters; GET does not include HEAD. Default: every one",
      }),
    ),
    headers: Values("By name; several fields of one name are one list with commas"),
    query: Values("By name, decoded; of a repeated parameter one value is enough"),
    clients: Type.Optional(
      Type.Array(Type.String(), {
        minItems: 1,
        maxItems: ROUTING_LIMITS.clients,
        description: "CIDRs of client addresses",
      }),
    ),
    sni: Type.Optional(
      Type.String({ description: "Listeners of protocol tls: the server name, exact or *.example.com" }),
    ),
  },
  closed,
);

export const SplitSchema = Type.Object(
  {
    pools: Type.Array(
      Type.Object(
        {
          pool: Name("A pool, as often as its weight"),
          weight: Type.Integer({
            minimum: 0,
            maximum: LIMITS.weight,
            description: "Share of requests; 0: only those of clients that were there before",
          }),
        },
        closed,
      ),
      { minItems: 2, maxItems: ROUTING_LIMITS.splitPools },
    ),
    sticky: Type.Optional(
      Type.Object(
        {
          cookie: Type.String({ pattern: TOKEN_PATTERN, description: "Names the pool a client stays with" }),
          maxAgeS: Type.Optional(
            Type.Integer({
              minimum: 1,
              maximum: 31_536_000,
              description: "Default: until the browser is closed",
            }),
          ),
          secure: Type.Optional(Type.Boolean({ default: false, description: "Only over TLS" })),
        },
        closed,
      ),
    ),
  },
  { ...closed, description: "In place of `pool`: several, by weight. For canaries" },
);

export const MirrorSchema = Type.Object(
  {
    pool: Name("Gets a copy; its answers are dropped, and nobody waits for them"),
    percent: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 100,
        default: 100,
        description: "Of the requests",
      }),
    ),
    maxBodyBytes: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: ROUTING_LIMITS.mirroredBytes,
        default: 65_536,
        description: "Requests with a larger body are not copied",
      }),
    ),
  },
  closed,
);

export const RewriteSchema = Type.Object(
  {
    stripPrefix: Type.Optional(
      Type.Unsafe<boolean | string>({
        type: ["boolean", "string"],
        description: "true: the path of the match without /*. A path: that, where a request has it",
      }),
    ),
    addPrefix: Type.Optional(Type.String({ description: "Put before the path, after `stripPrefix`" })),
    path: Type.Optional(Type.String({ description: "In place of the whole path; the query stays" })),
    regex: Type.Optional(
      Type.Object(
        {
          pattern: Type.String({
            description:
              "Begins with ^; what it finds is replaced. Without parts that could read a path in two ways",
          }),
          substitution: Type.String({
            maxLength: 1_024,
            description: "$1 to $9: what the groups found; $$: a dollar",
          }),
        },
        closed,
      ),
    ),
    host: Type.Optional(
      Type.String({ description: "Host for the backend, perhaps with a port; default: the client's" }),
    ),
  },
  closed,
);

const Texts = (description: string) =>
  Type.Optional(
    Type.Unsafe<Record<string, string>>({
      type: "object",
      additionalProperties: { type: "string", maxLength: ROUTING_LIMITS.valueLength },
      maxProperties: ROUTING_LIMITS.headerRules,
      description,
    }),
  );

export const HeaderRulesSchema = Type.Object(
  {
    set: Texts("In place of whatever there is of these names"),
    add: Texts("Beside what there is"),
    remove: Type.Optional(
      Type.Array(Type.String({ pattern: TOKEN_PATTERN }), {
        minItems: 1,
        maxItems: ROUTING_LIMITS.headerRules,
        description: "Goes before `set` and `add`",
      }),
    ),
  },
  closed,
);

export const RedirectSchema = Type.Object(
  {
    scheme: Type.Optional(Type.Enum(["http", "https"], { description: "Default: the request's" })),
    host: Type.Optional(Type.String({ description: "A host name; default: the request's" })),
    port: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65_535,
        description: "Default: the request's, or with a scheme or host here that of the scheme",
      }),
    ),
    path: Type.Optional(Type.String({ description: "Default: the request's. The query stays" })),
    status: Type.Optional(
      Type.Enum([...REDIRECT_STATUSES], {
        default: 302,
        description: "301, 308: for ever; 307, 308: the method stays",
      }),
    ),
  },
  closed,
);

export const RespondSchema = Type.Object(
  {
    status: Type.Integer({ minimum: 200, maximum: 599 }),
    body: Type.Optional(Type.String({ maxLength: ROUTING_LIMITS.bodyLength, default: "" })),
    contentType: Type.Optional(Type.String({ maxLength: 256, default: "text/plain; charset=utf-8" })),
  },
  closed,
);

/** All of a route but its name and who may use it. */
export const ROUTING_FIELDS = {
  match: RouteMatchSchema,
  priority: Type.Optional(
    Type.Integer({
      minimum: -ROUTING_LIMITS.priority,
      maximum: ROUTING_LIMITS.priority,
      default: 0,
      description: "The highest goes first; of equal ones the more specific match",
    }),
  ),
  proxy: Type.Optional(
    Type.Enum([...PROXIES], {
      description:
        "static: bound to one backend. dynamic: scheduled over the pool. hybrid: its backend while that is ready and not overloaded, else the pool. Left out with redirect and respond",
    }),
  ),
  pool: Type.Optional(Name("The pool this route is served from")),
  backend: Type.Optional(Name("static and hybrid: the backend it is bound to")),
  failover: Type.Optional(
    Type.Boolean({
      default: false,
      description: "static: while its backend is not ready, the others of the pool take its requests",
    }),
  ),
  spillAbove: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: ROUTING_LIMITS.spillAbove,
      description:
        "hybrid: in flight on its backend, all gateways together, from which on requests go to the pool. Default: only its maxInflight bounds it",
    }),
  ),
  criticality: Type.Optional(
    Type.Enum([...CRITICALITIES], {
      default: "normal",
      description: "hybrid: who keeps the backend while it is scarce",
    }),
  ),
  split: Type.Optional(SplitSchema),
  mirror: Type.Optional(MirrorSchema),
  rewrite: Type.Optional(RewriteSchema),
  headers: Type.Optional(
    Type.Object(
      { request: Type.Optional(HeaderRulesSchema), response: Type.Optional(HeaderRulesSchema) },
      closed,
    ),
  ),
  redirect: Type.Optional(RedirectSchema),
  respond: Type.Optional(RespondSchema),
} as const;
