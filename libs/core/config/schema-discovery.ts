// The part of the configuration that says where a pool's backends are found at run time, besides those it names itself.
import Type from "typebox";
import { closed, LIMITS, Ms, Name } from "./fields.ts";

export const DNS_TYPES = ["A", "AAAA", "SRV"] as const;
export const WHEN_EMPTY = ["keep", "empty"] as const;

const Scheme = Type.Optional(
  Type.Enum(["http", "https", "tcp", "udp"], { default: "http", description: "Of the backends' urls" }),
);

export const DiscoverySchema = Type.Object(
  {
    file: Type.Optional(
      Type.Object(
        {
          path: Type.String({
            minLength: 1,
            maxLength: 4_096,
            description: "YAML or JSON on the health-monitors' machines: a list of backends",
          }),
        },
        { ...closed, description: "Read again when it changes" },
      ),
    ),
    dns: Type.Optional(
      Type.Object(
        {
          name: Type.String({ minLength: 1, maxLength: 253, description: "Fully qualified" }),
          type: Type.Optional(
            Type.Enum([...DNS_TYPES], {
              default: "A",
              description: "SRV: port, weight and priority come from the records",
            }),
          ),
          scheme: Scheme,
          port: Type.Optional(
            Type.Integer({ minimum: 1, maximum: 65_535, description: "Of the backends; not with SRV" }),
          ),
          resolvers: Type.Optional(
            Type.Array(Type.String(), {
              minItems: 1,
              maxItems: 8,
              description: "address or address:port, asked in turn. Default: the system's",
            }),
          ),
          minIntervalMs: Ms("Asked again no sooner, however short the TTL", 1_000, 100),
          maxIntervalMs: Ms("Asked again no later, however long the TTL", 60_000, 100),
        },
        { ...closed, description: "Asked again when the answer's TTL is over" },
      ),
    ),
    docker: Type.Optional(
      Type.Object(
        {
          host: Type.Optional(
            Type.String({
              default: "unix:///var/run/docker.sock",
              description: "Of the Engine's API: unix:///path, or http://host:port",
            }),
          ),
          network: Type.Optional(
            Type.String({
              minLength: 1,
              maxLength: 128,
              description: "Whose addresses are used; default: the container's only one",
            }),
          ),
          intervalMs: Ms("Listed again after this, besides what the Engine's events tell", 10_000, 100),
        },
        {
          ...closed,
          description:
            "Running containers labelled evenkeel.pool=<pool> and evenkeel.port=<port>; also evenkeel.scheme, .id, .weight, .zone, .priority",
        },
      ),
    ),
    registration: Type.Optional(
      Type.Object(
        {
          allow: Type.Array(Type.String(), {
            minItems: 1,
            maxItems: 1_000,
            description: "CIDRs that addresses must be in",
          }),
          ttlMs: Ms("A registration ends when it was not renewed for this long", 10_000, 1_000),
          maxBackends: Type.Optional(
            Type.Integer({ minimum: 1, maximum: LIMITS.backendsPerPool, default: 1_000 }),
          ),
        },
        { ...closed, description: "Backends register themselves: PUT /v1/pools/{pool}/registrations/{id}" },
      ),
    ),
    defaults: Type.Optional(
      Type.Object(
        {
          weight: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.weight })),
          zone: Type.Optional(Name("Where they stand")),
          maxInflight: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
          slots: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
          priority: Type.Optional(Type.Integer({ minimum: 0, maximum: LIMITS.priority })),
          cost: Type.Optional(Type.Number({ minimum: 0, maximum: 1e9 })),
        },
        { ...closed, description: "For found backends of which their source says nothing else" },
      ),
    ),
    whenEmpty: Type.Optional(
      Type.Enum([...WHEN_EMPTY], {
        default: "keep",
        description:
          "A source that has had backends and names none now. keep: its last ones stay. empty: they leave. One that fails never takes any out",
      }),
    ),
  },
  closed,
);
