// What the API says of itself: parameters that are checked, and shapes of answers for the OpenAPI document. Answers
// are never checked while serving; a test holds them to these shapes.
import { BackendSchema, NAME_PATTERN, POLICIES } from "@evenkeel/core/config/schema.ts";
import { EVENT_TYPES } from "@evenkeel/core/wire/shown-event.ts";
import Type, { type TSchema } from "typebox";

const Name = Type.String({ pattern: NAME_PATTERN });
const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

export const PoolParams = Type.Object({ pool: Name });
export const BackendParams = Type.Object({ pool: Name, id: Name });
export const RouteParams = Type.Object({ name: Name });

export const RowsQuery = Type.Object({
  rows: Type.Optional(Type.Enum(["true", "false"], { description: "Also answer who holds what" })),
});

export const IfMatchHeader = Type.Object({
  "if-match": Type.Optional(
    Type.String({ description: "Version the change was made from; 412 when another is applied" }),
  ),
});

export const ErrorSchema = Type.Object({
  error: Type.String(),
  code: Type.String({ description: "Never changes its meaning" }),
  at: Type.Optional(Type.String({ description: "JSON pointer into the request" })),
  problems: Type.Optional(Type.Array(Type.Object({ path: Type.String(), message: Type.String() }))),
});

export const BackendStateSchema = Type.Object({
  id: BackendSchema.properties.id,
  url: Type.String(),
  weight: Type.Integer(),
  zone: Nullable(Type.String()),
  maxInflight: Nullable(Type.Integer()),
  slots: Nullable(Type.Integer({ description: "How many it serves at once, as configured" })),
  priority: Type.Integer({ description: "Tier: 0 goes first" }),
  cost: Type.Number(),
  effectiveWeight: Type.Number({
    description: "With its tier's share and its slow start; 0 while no pick may take it",
  }),
  inflight: Type.Integer({ minimum: 0, description: "Over all gateways" }),
  health: Type.Enum(["healthy", "unhealthy"]),
  reason: Type.Enum(["initial", "probe", "traffic", "probation"]),
  sinceMs: Type.Integer({ description: "When health last changed, ms since the epoch" }),
  mode: Type.Enum(["active", "draining", "disabled"]),
  detail: Nullable(Type.String({ description: "What was seen last: `status 503`, `3 failures in a row`" })),
  ejections: Type.Integer({ minimum: 0, description: "How often it left lately" }),
  returnsMs: Nullable(
    Type.Integer({ description: "Before this good probes do not bring it back; null: they may at any time" }),
  ),
  probedMs: Nullable(Type.Integer({ description: "When the last probe that counted was due" })),
  agent: Nullable(
    Type.Object(
      { weightPercent: Type.Integer({ minimum: 0, maximum: 100 }), drain: Type.Boolean() },
      { description: "What its agent asked for last" },
    ),
  ),
  ready: Type.Boolean(),
  ewmaMs: Nullable(
    Type.Number({ description: "Time to first byte over the last seconds, failures charged as slow" }),
  ),
  metrics: Type.Record(Type.String(), Type.Number(), { description: "What it last reported of itself" }),
});

export const PoolStateSchema = Type.Object({
  pool: Name,
  version: Type.Integer(),
  policy: Type.Enum([...POLICIES]),
  panic: Type.Boolean({
    description: "Fewer than `panicPercent` are healthy, so all active ones of the tiers in use are used",
  }),
  backends: Type.Array(BackendStateSchema),
});

export const ShownBackendSchema = Type.Object({
  ...BackendStateSchema.properties,
  drained: Type.Boolean({ description: "Draining, and nothing is in flight any more: it may go" }),
});

export const ShownPoolSchema = Type.Object({
  ...PoolStateSchema.properties,
  backends: Type.Array(ShownBackendSchema),
  rows: Type.Optional(
    Type.Record(Type.String(), Type.Record(Type.String(), Type.Integer()), {
      description: "Gateway → backend → how many it has in flight; only with ?rows=true",
    }),
  ),
});

export const PoolListSchema = Type.Object({ pools: Type.Array(ShownPoolSchema) });

export const ReplySchema = Type.Object({
  status: Type.Enum(["applied", "stale"]),
  resync: Type.Boolean({ description: "The next statement must be full" }),
  picks: Type.Array(Nullable(Name), { description: "One per want, in order" }),
  version: Type.Integer(),
  pool: Type.Optional(PoolStateSchema),
});

export const ChangedSchema = Type.Object({ version: Type.Integer() });

export const MemberListSchema = Type.Object({
  members: Type.Array(
    Type.Object({
      role: Type.Enum(["gateway", "scheduler", "health-monitor"]),
      id: Type.String(),
      adminUrl: Type.String(),
      pid: Type.Integer(),
      startedAtMs: Type.Integer(),
    }),
  ),
});

export const ShownEventsSchema = Type.Object({
  events: Type.Array(
    Type.Object({
      id: Type.String({ description: "pool/id in the pool's log" }),
      pool: Name,
      version: Type.Integer({ description: "Of the pool, then" }),
      atMs: Type.Integer({ description: "By Redis's clock, ms since the epoch" }),
      type: Type.Enum([...EVENT_TYPES]),
      backend: Type.Optional(Type.String({ description: "Of health, mode, agent" })),
      from: Type.Optional(Type.String({ description: "Of health, mode" })),
      to: Type.Optional(Type.String({ description: "Of health, mode" })),
      reason: Type.Optional(Type.String({ description: "Of health" })),
      detail: Type.Optional(Nullable(Type.String({ description: "Of health: what was seen" }))),
      ejections: Type.Optional(Type.Integer({ description: "Of health: how often it left lately" })),
      weightPercent: Type.Optional(Type.Integer({ description: "Of agent" })),
      drain: Type.Optional(Type.Boolean({ description: "Of agent" })),
      on: Type.Optional(Type.Boolean({ description: "Of panic: it begins, or is over" })),
      configVersion: Type.Optional(Type.Integer({ description: "Of members" })),
      joined: Type.Optional(Type.Array(Type.String(), { description: "Of members: some of them" })),
      left: Type.Optional(Type.Array(Type.String(), { description: "Of members: some of them" })),
      size: Type.Optional(Type.Integer({ description: "Of members: backends now" })),
    }),
  ),
  cursor: Type.String({ description: "For `after` of the next request; opaque" }),
  more: Type.Boolean({ description: "There is more already" }),
  unread: Type.Optional(
    Type.Array(Name, {
      description: "Pools whose log could not be read just now; the cursor keeps their place",
    }),
  ),
});

export const DeadLettersSchema = Type.Object({
  letters: Type.Array(
    Type.Object({
      id: Type.String(),
      webhook: Name,
      event: Type.Object({ id: Type.String(), type: Type.Enum([...EVENT_TYPES]) }),
      messageId: Type.String({ description: "`webhook-id`, the same with every attempt" }),
      attempts: Type.Integer(),
      reason: Type.String({ description: "Why the last attempt failed" }),
      failedAtMs: Type.Integer(),
    }),
  ),
  size: Type.Integer({ description: "Of all that are kept" }),
  retrying: Type.Integer({ description: "To be sent again, but not yet queued" }),
});

/** The answers of a route, with how it may fail. */
export const answers = (schema: TSchema, ...failures: number[]) => ({
  200: schema,
  ...Object.fromEntries([400, ...failures, 503].map((status) => [status, ErrorSchema])),
});
