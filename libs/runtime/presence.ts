// Who is running: every process announces itself in Redis under a key that expires, by Redis's own clock.
import { randomBytes } from "node:crypto";
import type { Member, Role } from "@evenkeel/core/wire/member.ts";
import { memberIndexKey, memberKey } from "./keys.ts";
import type { Redis } from "./redis.ts";

const ANNOUNCE_INTERVAL_MS = 1_000;
/** A member that stops announcing disappears after this. */
export const MEMBER_TTL_MS = 5_000;

export interface Presence {
  /** Stops announcing and withdraws the entry, if Redis can be reached. */
  leave(): Promise<void>;
}

export function announceMember(redis: Redis, prefix: string, member: Member): Presence {
  const announce = () =>
    redis
      .multi()
      .sadd(memberIndexKey(prefix), member.id)
      .set(memberKey(prefix, member.id), JSON.stringify(member), "PX", MEMBER_TTL_MS)
      .exec()
      .catch(() => {}); // Redis is away: the next beat announces again
  redis.on("ready", announce);
  if (redis.status === "ready") announce();
  const timer = setInterval(announce, ANNOUNCE_INTERVAL_MS);
  return {
    async leave() {
      clearInterval(timer);
      redis.off("ready", announce);
      await redis
        .multi()
        .srem(memberIndexKey(prefix), member.id)
        .del(memberKey(prefix, member.id))
        .exec()
        .catch(() => {});
    },
  };
}

/** Unique to one process lifetime: a process started again never inherits what its predecessor left. */
export const memberId = (role: Role, name: string): string =>
  `${name || `${role}-${process.pid}`}.${randomBytes(3).toString("hex")}`;

/** The members alive now; forgets those that expired. @throws when Redis cannot be reached */
export async function readMembers(redis: Redis, prefix: string): Promise<Member[]> {
  const ids = await redis.smembers(memberIndexKey(prefix));
  if (ids.length === 0) return [];
  const values = await redis.mget(ids.map((id) => memberKey(prefix, id)));
  const gone = ids.filter((_, i) => values[i] === null);
  if (gone.length > 0) await redis.srem(memberIndexKey(prefix), ...gone);
  const members = values.filter((value) => value !== null).map((value) => JSON.parse(value) as Member);
  return members.sort((a, b) => a.id.localeCompare(b.id));
}

/** How long ago a member of this role last announced itself, ms; null: none is alive. @throws when Redis cannot be reached */
export async function announcedAgoMs(redis: Redis, prefix: string, role: Role): Promise<number | null> {
  const members = (await readMembers(redis, prefix)).filter((member) => member.role === role);
  let longestLeftMs = -1;
  for (const { id } of members)
    longestLeftMs = Math.max(longestLeftMs, await redis.pttl(memberKey(prefix, id)));
  return longestLeftMs < 0 ? null : Math.max(0, MEMBER_TTL_MS - longestLeftMs);
}
