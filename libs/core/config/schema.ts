// The configuration as a user writes it: one TypeBox schema is the validator, the TypeScript type and the
// published JSON Schema. Defaults live here, beside the field they belong to; `resolve.ts` applies them.
import Type, { type Static } from "typebox";
import { closed, LIMITS, Ms, Name } from "./fields.ts";
import { ACCESS_FIELDS } from "./schema-access.ts";
import { DiscoverySchema } from "./schema-discovery.ts";
import { EjectSchema, HealthSchema } from "./schema-health.ts";
import { LISTENER_FIELDS } from "./schema-listeners.ts";
import { NotificationsSchema } from "./schema-notifications.ts";
import { PROTECTION_FIELDS, ROUTE_RESILIENCE_FIELDS, UPSTREAM_FIELDS } from "./schema-resilience.ts";
import { ROUTING_FIELDS } from "./schema-routing.ts";
import { GeographySchema, SCHEDULING_FIELDS } from "./schema-scheduling.ts";
import { STREAM_LISTENER_FIELDS } from "./schema-streams.ts";

export { LIMITS, NAME_PATTERN } from "./fields.ts";
export { HealthSchema } from "./schema-health.ts";
export { POLICIES, type Policy } from "./schema-scheduling.ts";

export const ListenerSchema = Type.Object(
  {
    name: Name("Unique among listeners"),
    protocol: Type.Enum(["http", "tcp", "tls", "udp"], {
      description:
        "http: HTTP/1.1 and HTTP/2. tcp: bytes. tls: TLS passed through, routed by its server name. udp: datagrams",
    }),
    port: Type.Integer({ minimum: 0, maximum: 65_535, description: "0 lets the system choose" }),
    address: Type.Optional(Type.String({ default: "0.0.0.0", description: "Local address to bind" })),
    ...LISTENER_FIELDS,
    ...STREAM_LISTENER_FIELDS,
  },
  closed,
);

export const RouteSchema = Type.Object(
  {
    name: Name("Unique among routes"),
    ...ROUTING_FIELDS,
    ...ACCESS_FIELDS,
    ...ROUTE_RESILIENCE_FIELDS,
  },
  closed,
);

export const BackendSchema = Type.Object(
  {
    id: Name("Unique and stable within its pool"),
    url: Type.String({
      description:
        "http://host:port or https://host:port, tcp://host:port, udp://host:port; nothing after it",
    }),
    weight: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: LIMITS.weight,
        default: 1,
        description: "Share of the load; default: its slots where they are told",
      }),
    ),
    zone: Type.Optional(Name("Where it stands")),
    maxInflight: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1_000_000, description: "No pick while this many are in flight" }),
    ),
    slots: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000,
        description: "How many it serves at once, more wait inside it; told, fast backends are filled first",
      }),
    ),
    priority: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: LIMITS.priority,
        default: 0,
        description:
          "Tier: a higher number takes over as far as fewer than 1/1.4 of those before it are healthy",
      }),
    ),
    cost: Type.Optional(
      Type.Number({ minimum: 0, maximum: 1e9, default: 0, description: "For the criterion of that name" }),
    ),
  },
  closed,
);

export const PoolSchema = Type.Object(
  {
    name: Name("Unique among pools"),
    ...SCHEDULING_FIELDS,
    backends: Type.Array(BackendSchema, { maxItems: LIMITS.backendsPerPool }),
    health: Type.Optional(HealthSchema),
    eject: Type.Optional(EjectSchema),
    discovery: Type.Optional(DiscoverySchema),
    failoverTo: Type.Optional(
      Name("The pool that takes this one's requests while too few of this one's backends are healthy"),
    ),
    ...UPSTREAM_FIELDS,
    ejectMs: Ms(
      "A backend out without a confirming probe returns on probation after this, times how often it left lately",
      10_000,
      100,
    ),
  },
  closed,
);

export const ConfigSchema = Type.Object(
  {
    listeners: Type.Array(ListenerSchema, { minItems: 1, maxItems: LIMITS.listeners }),
    routes: Type.Array(RouteSchema, { maxItems: LIMITS.routes }),
    pools: Type.Array(PoolSchema, { maxItems: LIMITS.pools }),
    geography: Type.Optional(GeographySchema),
    notifications: Type.Optional(NotificationsSchema),
    ...PROTECTION_FIELDS,
    workers: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: LIMITS.workers,
        default: 1,
        description: "Processes of each gateway that share its listeners",
      }),
    ),
    debugHeaders: Type.Optional(
      Type.Boolean({ default: false, description: "Adds x-evenkeel-backend to responses" }),
    ),
    trustedProxies: Type.Optional(
      Type.Array(Type.String(), {
        maxItems: 1_000,
        default: [],
        description: "CIDRs whose X-Forwarded-* and Forwarded headers are believed and extended",
      }),
    ),
  },
  { ...closed, $id: "https://evenkeel.dev/config.schema.json", title: "Evenkeel configuration" },
);

/** The configuration as written. */
export type ConfigDocument = Static<typeof ConfigSchema>;
export type ListenerDocument = Static<typeof ListenerSchema>;
export type RouteDocument = Static<typeof RouteSchema>;
export type PoolDocument = Static<typeof PoolSchema>;
export type GeographyDocument = Static<typeof GeographySchema>;
export type BackendDocument = Static<typeof BackendSchema>;
