// The part of the configuration that says who is told of what happens to pools.
import Type from "typebox";
import { closed, Ms, Name } from "./fields.ts";

export const NOTIFIED_EVENTS = ["health", "mode", "panic", "members", "agent"] as const;

export const NotificationsSchema = Type.Array(
  Type.Object(
    {
      name: Name("Unique among notifications"),
      url: Type.String({
        description: "http:// or https://; gets a POST per event, signed as Standard Webhooks are",
      }),
      secretFile: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 1_024,
          description:
            "Path, on each health-monitor, of the secret that signs; without one nothing is signed",
        }),
      ),
      events: Type.Optional(
        Type.Array(Type.Enum([...NOTIFIED_EVENTS]), {
          minItems: 1,
          maxItems: NOTIFIED_EVENTS.length,
          default: ["health", "panic"],
          description: "Which kinds",
        }),
      ),
      pools: Type.Optional(
        Type.Array(Name("A pool"), { minItems: 1, maxItems: 1_000, description: "Which; default: all" }),
      ),
      timeoutMs: Ms("For one attempt", 5_000, 100),
      attempts: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: 20,
          default: 8,
          description: "With growing waits between them; then it goes to the dead-letter list",
        }),
      ),
    },
    closed,
  ),
  { maxItems: 32, description: "Webhooks" },
);
