// What happens when things go wrong, or slow: timeouts, retries, limits of bodies, and how backends are spoken to.
import Type from "typebox";
import { closed, Ms } from "./fields.ts";

export const ROUTE_RESILIENCE_FIELDS = {
  timeouts: Type.Optional(
    Type.Object(
      {
        responseHeadersMs: Ms("From request sent to response headers; past it 504", 30_000),
        idleMs: Ms("Longest silence inside a response body", 60_000),
      },
      closed,
    ),
  ),
} as const;

export const UPSTREAM_FIELDS = {
  connectTimeoutMs: Ms("Longest TCP connect to a backend", 2_000),
} as const;

export const PROTECTION_FIELDS = {} as const;
