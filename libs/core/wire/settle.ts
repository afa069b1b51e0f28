// The message between gateway and scheduler: `POST /v1/pools/{pool}/settle`.
import Type, { type Static } from "typebox";
import { LIMITS, METRIC_PATTERN, NAME_PATTERN } from "../config/fields.ts";
import {
  BELOW_MAX,
  MAX_EXCLUDES,
  MAX_METRICS,
  MAX_RANKED,
  MAX_WANTS,
  METRIC_VALUE_MAX,
  type PoolState,
  type Reply,
} from "../ledger/ledger.ts";

const Count = Type.Integer({ minimum: 0, maximum: 10_000_000 });
const closed = { additionalProperties: false } as const;
const Backend = Type.String({ pattern: NAME_PATTERN });
const perBackend = { ...closed, maxProperties: LIMITS.backendsPerPool } as const;

export const MetricsSchema = Type.Record(
  Type.String({ pattern: METRIC_PATTERN }),
  Type.Number({ minimum: -METRIC_VALUE_MAX, maximum: METRIC_VALUE_MAX }),
  { maxProperties: MAX_METRICS },
);

const OutcomesSchema = Type.Object(
  {
    success: Count,
    failure: Count,
    canceled: Count,
    failuresInRow: Count,
    latencyUs: Type.Integer({ minimum: 0, maximum: 3_600_000_000 }),
    metrics: Type.Optional(MetricsSchema),
  },
  closed,
);

const PreferenceSchema = Type.Object(
  { backend: Backend, below: Type.Integer({ minimum: 1, maximum: BELOW_MAX }) },
  closed,
);

export const SettleRequestSchema = Type.Object(
  {
    gateway: Type.String({ minLength: 1, maxLength: 128, pattern: "^[A-Za-z0-9._-]+$" }),
    seq: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    full: Type.Boolean(),
    held: Type.Record(Backend, Count, perBackend),
    outcomes: Type.Record(Backend, OutcomesSchema, perBackend),
    wants: Type.Array(
      Type.Object(
        {
          exclude: Type.Optional(Type.Array(Backend, { maxItems: MAX_EXCLUDES })),
          zone: Type.Optional(Backend),
          ranked: Type.Optional(Type.Array(Backend, { maxItems: MAX_RANKED })),
          stick: Type.Optional(Backend),
          prefer: Type.Optional(PreferenceSchema),
        },
        closed,
      ),
      { maxItems: MAX_WANTS },
    ),
    /** The pool version the gateway has; when it differs from the present one the reply carries the pool. */
    version: Type.Integer({ minimum: 0 }),
    /** True: carry the pool anyway, to refresh the counts a fallback would pick on. */
    refresh: Type.Boolean(),
  },
  closed,
);

export type SettleRequest = Static<typeof SettleRequestSchema>;

export interface SettleResponse extends Reply {
  version: number;
  pool?: PoolState;
}
