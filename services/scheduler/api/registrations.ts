// /v1/pools/{pool}/registrations: backends that register themselves, each for as long as it renews in time.
import { type BackendDocument, BackendSchema } from "@evenkeel/core/config/schema.ts";
import type { Member } from "@evenkeel/core/wire/member.ts";
import type { Registered, Registrations } from "@evenkeel/ledger/registrations.ts";
import type { AppliedConfig } from "@evenkeel/runtime/config-watch.ts";
import type { FastifyInstance } from "fastify";
import Type, { type Static, type TSchema } from "typebox";
import { SchedulerError, viaRedis } from "../errors.ts";
import { checkNewcomer, checkPlace, registrablePool } from "./registration-check.ts";
import { answers, BackendParams, PoolParams } from "./schemas.ts";
import type { Guard } from "./writes.ts";

const DEFAULT_TTL_MS = 10_000;
const TTL_MIN_MS = 1_000;
/** Renewals that may be lost before a registration ends, and one that is not. */
const RENEWALS_PER_TTL = 3;

/** Without defaults, which would be filled in: what is left out is the pool's to say. */
const withoutDefault = <T extends TSchema>(schema: T) => {
  const { default: _, ...rest } = schema as T & { default?: unknown };
  return Type.Optional(rest as T);
};
const { id: Id, url, weight, zone, maxInflight, slots, priority, cost } = BackendSchema.properties;
const FACTS = {
  ...{ url, zone, maxInflight, slots },
  ...{ weight: withoutDefault(weight), priority: withoutDefault(priority), cost: withoutDefault(cost) },
};

const TtlMs = Type.Integer({
  minimum: TTL_MIN_MS,
  description: "It ends when it is not renewed for this long; default, and at most, the pool's",
});

export const RegistrationBody = Type.Object(
  { id: Type.Optional(Id), ...FACTS, ttlMs: Type.Optional(TtlMs) },
  { additionalProperties: false },
);

export const RenewalSchema = Type.Object({
  ttlMs: TtlMs,
  renewAfterMs: Type.Integer({ description: "Time to send the same again" }),
});

export const RegistrationListSchema = Type.Object({
  nowMs: Type.Integer({
    description: "By the clock that renewedMs and expiresMs are of, ms since the epoch",
  }),
  registrations: Type.Array(
    Type.Object({
      ...BackendSchema.properties,
      ttlMs: TtlMs,
      renewedMs: Type.Integer(),
      expiresMs: Type.Integer(),
    }),
  ),
});

export interface RegistrationsOptions {
  registrations: Registrations;
  /** The configuration that the process goes by. */
  known: () => AppliedConfig | null;
  readMembers: () => Promise<Member[]>;
  /** @param result `taken`, or the code it was refused with */
  onRegistration(result: string): void;
}

interface OfRegistration {
  Params: { pool: string; id: string };
}

export function addRegistrations(server: FastifyInstance, options: RegistrationsOptions, guard: Guard): void {
  const { registrations, known, readMembers, onRegistration } = options;

  const existing = (): AppliedConfig => {
    const config = known();
    if (config) return config;
    throw new SchedulerError("no_config", "no configuration is applied; PUT one to /v1/config first");
  };

  const register = async (name: string, id: string, body: Static<typeof RegistrationBody>) => {
    const config = existing();
    const { pool, rules } = registrablePool(config, name);
    const longestMs = rules.ttlMs ?? DEFAULT_TTL_MS;
    const { backend, ttlMs } = asked(id, body, longestMs);
    const [before, members] = await viaRedis(Promise.all([registrations.find(name, id), readMembers()]));
    const registering = { pool, backend, config, members };
    checkPlace(registering, rules);
    if (!before || JSON.stringify(before) !== JSON.stringify(backend)) {
      checkNewcomer(registering, rules, (await viaRedis(registrations.list())).registered);
    }
    await viaRedis(registrations.put(name, backend, ttlMs));
    return { ttlMs, renewAfterMs: Math.floor(ttlMs / RENEWALS_PER_TTL) };
  };

  server.put<OfRegistration & { Body: Static<typeof RegistrationBody> }>(
    "/v1/pools/:pool/registrations/:id",
    {
      onRequest: guard,
      schema: {
        summary: "Register a backend, or renew it",
        tags: ["registrations"],
        params: BackendParams,
        body: RegistrationBody,
        response: answers(RenewalSchema, 401, 403, 404, 409, 429),
      },
    },
    async ({ params: { pool, id }, body }) => {
      try {
        const renewal = await register(pool, id, body);
        onRegistration("taken");
        return renewal;
      } catch (error) {
        onRegistration(error instanceof SchedulerError ? error.code : "internal");
        throw error;
      }
    },
  );

  server.delete<OfRegistration>(
    "/v1/pools/:pool/registrations/:id",
    {
      onRequest: guard,
      schema: {
        summary: "End a registration at once",
        tags: ["registrations"],
        params: BackendParams,
        response: answers(Type.Object({}), 401, 403, 404),
      },
    },
    async ({ params: { pool, id } }) => {
      registrablePool(existing(), pool);
      if (await viaRedis(registrations.remove(pool, id))) return {};
      throw new SchedulerError("unknown_registration", `pool "${pool}" has no registration "${id}"`);
    },
  );

  server.get<{ Params: { pool: string } }>(
    "/v1/pools/:pool/registrations",
    {
      schema: {
        summary: "Backends that registered themselves",
        tags: ["registrations"],
        params: PoolParams,
        response: answers(RegistrationListSchema, 403, 404),
      },
    },
    async ({ params: { pool } }) => {
      registrablePool(existing(), pool);
      const { nowMs, registered } = await viaRedis(registrations.list());
      return { nowMs, registrations: registered.filter((one) => one.pool === pool).map(shown) };
    },
  );
}

const shown = ({ backend, ttlMs, renewedMs }: Registered) => ({
  ...backend,
  ttlMs,
  renewedMs,
  expiresMs: renewedMs + ttlMs,
});

/** @throws SchedulerError `invalid_request` */
function asked(
  id: string,
  { ttlMs, ...facts }: Static<typeof RegistrationBody>,
  longestMs: number,
): { backend: BackendDocument; ttlMs: number } {
  if (facts.id !== undefined && facts.id !== id) {
    const message = `the path says id "${id}", the body "${facts.id}"`;
    throw new SchedulerError("invalid_request", message, { at: "/id" });
  }
  if (ttlMs !== undefined && ttlMs > longestMs) {
    const message = `ttlMs must be at most ${longestMs} ms, as the pool's \`discovery.registration.ttlMs\` says`;
    throw new SchedulerError("invalid_request", message, { at: "/ttlMs" });
  }
  return { backend: { ...facts, id }, ttlMs: ttlMs ?? longestMs };
}
