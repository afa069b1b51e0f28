// The part of the configuration that says how a pool is scheduled, and where things stand on the map.
import Type from "typebox";
import { closed, LIMITS, METRIC_PATTERN, Ms, Name, TOKEN_PATTERN } from "./fields.ts";

export const POLICIES = [
  "least-connections",
  "round-robin",
  "least-time",
  "two-choices",
  "random",
  "first",
  "hash",
  "geo",
  "criteria",
] as const;

export type Policy = (typeof POLICIES)[number];

/** Criteria that need no report; any other is a metric which the pool's `reports` must name. */
export const OWN_CRITERIA = ["connections", "latency", "errors", "distance", "cost"] as const;

export const HASH_KEYS = ["address", "header", "cookie", "path", "query"] as const;

const MetricName = (description: string) => Type.String({ pattern: METRIC_PATTERN, description });

export const HashSchema = Type.Object(
  {
    key: Type.Enum([...HASH_KEYS], { description: "What of a request is hashed" }),
    name: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 128,
        description:
          "Of the header, cookie or query parameter; without a value in a request, its client address",
      }),
    ),
    bound: Type.Optional(
      Type.Number({
        minimum: 1.01,
        maximum: 100,
        default: 1.25,
        description: "A backend with this many times its share of all that is in flight is passed over",
      }),
    ),
  },
  closed,
);

export const GeoSchema = Type.Object(
  {
    spillAt: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 100_000,
        default: 100,
        description:
          "In flight per unit of weight: a backend with that many has no room, the next zone is used",
      }),
    ),
  },
  closed,
);

export const CriterionSchema = Type.Object(
  {
    name: MetricName(`One of ${OWN_CRITERIA.join(", ")}, or a metric named in \`reports\``),
    weight: Type.Number({ exclusiveMinimum: 0, maximum: 1_000, description: "Its share in the sum" }),
    scale: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 1e12,
        description:
          "The value that counts as 1. Default: connections 10 (per unit of weight), latency the pool's mean, errors all, distance and cost the largest, a reported metric 1",
      }),
    ),
  },
  closed,
);

export const ReportsSchema = Type.Object(
  {
    header: Type.Optional(
      Type.Array(MetricName("Metric"), {
        maxItems: LIMITS.reportedMetrics,
        description:
          "Taken from the endpoint-load-metrics response header (ORCA), and not passed on to clients",
      }),
    ),
    agent: Type.Optional(
      Type.Object(
        {
          path: Type.String({
            pattern: "^/",
            maxLength: 1_024,
            description: "Answers JSON: metric → number",
          }),
          port: Type.Optional(
            Type.Integer({ minimum: 1, maximum: 65_535, description: "Default: the backend's own" }),
          ),
          metrics: Type.Optional(
            Type.Array(MetricName("Metric"), { maxItems: LIMITS.reportedMetrics, default: [] }),
          ),
          weight: Type.Optional(
            MetricName("The one that says which percent of its weight the backend wants, 0 to 100"),
          ),
          drain: Type.Optional(
            MetricName("The one that says, with a value other than 0, that it wants no new requests"),
          ),
        },
        { ...closed, description: "Asked by the health-monitor with every probe" },
      ),
    ),
  },
  closed,
);

export const SlowStartSchema = Type.Object(
  {
    windowMs: Ms("Until a backend that joins or returns has its whole weight; 0: at once", 30_000, 0),
    fromPercent: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 100, default: 10, description: "Of its weight, to begin with" }),
    ),
  },
  closed,
);

export const AffinitySchema = Type.Object(
  {
    cookie: Type.Optional(
      Type.String({
        pattern: TOKEN_PATTERN,
        default: "evenkeel",
        description: "Names the backend of a client's session, signed",
      }),
    ),
    maxAgeS: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 31_536_000, description: "Default: until the browser is closed" }),
    ),
    secure: Type.Optional(Type.Boolean({ default: false, description: "Only over TLS" })),
  },
  closed,
);

export const SCHEDULING_FIELDS = {
  policy: Type.Optional(
    Type.Enum([...POLICIES], {
      default: "least-connections",
      description: "Who of those that may be picked is: docs/configuration.md says when to use which",
    }),
  ),
  hash: Type.Optional(HashSchema),
  geo: Type.Optional(GeoSchema),
  criteria: Type.Optional(Type.Array(CriterionSchema, { minItems: 1, maxItems: LIMITS.criteria })),
  reports: Type.Optional(ReportsSchema),
  slowStart: Type.Optional(SlowStartSchema),
  affinity: Type.Optional(AffinitySchema),
  panicPercent: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 100,
      default: 50,
      description:
        "With a smaller share of the active backends healthy, all active ones are used; 0: never. Above 71 it changes nothing: that many healthy ones carry the load",
    }),
  ),
};

const Zone = Name("A zone: a region, a data centre, a room");

export const GeographySchema = Type.Object(
  {
    zones: Type.Array(
      Type.Object(
        {
          name: Zone,
          latitude: Type.Optional(Type.Number({ minimum: -90, maximum: 90, description: "Degrees north" })),
          longitude: Type.Optional(
            Type.Number({
              minimum: -180,
              maximum: 180,
              description: "Degrees east; a place has both or neither",
            }),
          ),
        },
        closed,
      ),
      { minItems: 1, maxItems: LIMITS.zones },
    ),
    distances: Type.Optional(
      Type.Array(
        Type.Object(
          {
            between: Type.Array(Zone, { minItems: 2, maxItems: 2 }),
            distance: Type.Number({ minimum: 0, maximum: 1e9, description: "Any unit, the same for all" }),
          },
          closed,
        ),
        {
          maxItems: (LIMITS.zones * (LIMITS.zones - 1)) / 2,
          description: "Go before what coordinates say (km along the surface)",
        },
      ),
    ),
    clients: Type.Optional(
      Type.Object(
        {
          header: Type.Optional(
            Type.String({
              pattern: TOKEN_PATTERN,
              description: "Names the client's zone; believed from trusted proxies only",
            }),
          ),
          networks: Type.Optional(
            Type.Array(
              Type.Object({ cidr: Type.String({ description: "10.0.0.0/8" }), zone: Zone }, closed),
              {
                maxItems: LIMITS.clientNetworks,
                description: "Of client addresses; the longest match counts",
              },
            ),
          ),
          maxmind: Type.Optional(
            Type.String({
              minLength: 1,
              description:
                "File (.mmdb) with locations: the client's zone is the one nearest to its location",
            }),
          ),
        },
        {
          ...closed,
          description: "Zone of a request, first that knows it; else the gateway's (EVENKEEL_ZONE)",
        },
      ),
    ),
  },
  closed,
);
