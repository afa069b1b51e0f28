// The secret that signs cookies, the same for all gateways: of the environment, or one that the first gateway puts into
// Redis. Every gateway goes on offering the one it knows, so that it survives Redis losing its data; where two differ,
// what Redis has counts. While none is known no cookie is set and none believed.
import { randomBytes } from "node:crypto";
import { cookieSecretKey } from "@evenkeel/runtime/keys.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";

const OFFER_INTERVAL_MS = 5_000;
const SECRET_BYTES = 32;
const AS_STORED = /^[0-9a-f]{64}$/;

export interface CookieSecret {
  /** Null while it is not known. */
  current(): Buffer | null;
  close(): void;
}

/** @param configured as it stands in the environment; empty: the one in Redis */
export function followCookieSecret(configured: string, redis: Redis, prefix: string, log: Log): CookieSecret {
  if (configured !== "") {
    const given = Buffer.from(configured);
    return { current: () => given, close: () => {} };
  }
  let known: string | null = null;
  let secret: Buffer | null = null;
  let foreign = false;

  const adopt = (stored: string) => {
    if (stored === known) return;
    if (!AS_STORED.test(stored)) {
      if (!foreign) log.error({ key: cookieSecretKey(prefix) }, "what Redis holds is no secret for cookies");
      foreign = true;
      return;
    }
    if (known !== null) log.warn("the secret for cookies has changed: sessions may move to other backends");
    known = stored;
    secret = Buffer.from(stored, "hex");
  };
  const offer = async () => {
    const mine = known ?? randomBytes(SECRET_BYTES).toString("hex");
    try {
      adopt((await redis.set(cookieSecretKey(prefix), mine, "NX", "GET")) ?? mine);
    } catch (error) {
      log.debug({ reason: (error as Error).message }, "secret for cookies not read"); // said where the connection is watched
    }
  };
  redis.on("ready", offer);
  const timer = setInterval(offer, OFFER_INTERVAL_MS);
  void offer();
  return {
    current: () => secret,
    close() {
      clearInterval(timer);
      redis.off("ready", offer);
    },
  };
}
