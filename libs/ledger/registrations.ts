// Backends that registered themselves, in Redis, each under a key that expires by Redis's own clock.
import { readFileSync } from "node:fs";
import type { BackendDocument } from "@evenkeel/core/config/schema.ts";
import { eventChannel, registrationIndexKey, registrationKey } from "@evenkeel/runtime/keys.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";
import { createFunctions } from "./functions.ts";

const SOURCE = readFileSync(new URL("./lua/registrations.lua", import.meta.url), "utf8");
/** Read in one command: Redis serves nobody else meanwhile. */
const READ_AT_ONCE = 1_000;

export interface Registered {
  pool: string;
  backend: BackendDocument;
  ttlMs: number;
  /** By Redis's clock, ms since the epoch. */
  renewedMs: number;
}

/** @throws (each method) when Redis does not answer in time */
export interface Registrations {
  /** Puts or renews. A new one, or one that changed, is told to everyone (event `registration`). */
  put(pool: string, backend: BackendDocument, ttlMs: number): Promise<void>;
  /** False: there is none. */
  remove(pool: string, id: string): Promise<boolean>;
  find(pool: string, id: string): Promise<BackendDocument | null>;
  /** Those that have not expired, by pool and id. */
  list(): Promise<{ nowMs: number; registered: Registered[] }>;
}

export function createRegistrations({ redis, prefix }: { redis: Redis; prefix: string }): Registrations {
  const functions = createFunctions(redis, SOURCE);
  const index = registrationIndexKey(prefix);
  const keysOf = (pool: string, id: string) => [index, registrationKey(prefix, pool, id)];
  const argsOf = (pool: string, id: string) => [eventChannel(prefix), pool, nameOf(pool, id)];
  return {
    async put(pool, backend, ttlMs) {
      const args = [...argsOf(pool, backend.id), JSON.stringify({ backend, ttlMs }), ttlMs];
      await functions.call("put_registration", keysOf(pool, backend.id), args);
    },
    remove: async (pool, id) =>
      (await functions.call("remove_registration", keysOf(pool, id), argsOf(pool, id))) === 1,
    find: async (pool, id) =>
      registeredOf(await redis.get(registrationKey(prefix, pool, id)))?.backend ?? null,
    async list() {
      const [nowMs, flat] = (await functions.call("list_registrations", [index], [])) as [number, string[]];
      const entries = flat.flatMap((name, i) =>
        i % 2 === 0 ? [{ name, expiresMs: Number(flat[i + 1]) }] : [],
      );
      entries.sort((a, b) => (a.name < b.name ? -1 : 1));
      const registered: Registered[] = [];
      for (let i = 0; i < entries.length; i += READ_AT_ONCE) {
        const some = entries.slice(i, i + READ_AT_ONCE);
        const texts = await redis.mget(some.map(({ name }) => registrationKey(prefix, ...partsOf(name))));
        for (const [j, { name, expiresMs }] of some.entries()) {
          const one = registeredOf(texts[j]);
          if (one) registered.push({ pool: partsOf(name)[0], ...one, renewedMs: expiresMs - one.ttlMs });
        }
      }
      return { nowMs, registered };
    },
  };
}

/** Neither a pool nor an id has a slash. */
const nameOf = (pool: string, id: string) => `${pool}/${id}`;

function partsOf(name: string): [pool: string, id: string] {
  const slash = name.indexOf("/");
  return [name.slice(0, slash), name.slice(slash + 1)];
}

/** Null for one that has just expired, and for what no scheduler put there. */
function registeredOf(text: string | null | undefined): Pick<Registered, "backend" | "ttlMs"> | null {
  if (!text) return null;
  try {
    const { backend, ttlMs } = JSON.parse(text);
    return typeof backend?.id === "string" && typeof ttlMs === "number" ? { backend, ttlMs } : null;
  } catch {
    return null;
  }
}
