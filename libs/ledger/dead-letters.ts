// Notifications that nobody took, in Redis: written by health-monitors, shown, removed and handed back by schedulers. A
// capped stream, so that its entries have ids and it never grows; what is to be sent again moves to a list in one step.
import type { DeadLetter, DeadLetters } from "@evenkeel/core/wire/dead-letter.ts";
import { deadLettersKey, retriesKey } from "@evenkeel/runtime/keys.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";

/** The oldest make room. */
export const DEAD_LETTERS_MAX = 1_000;

/** @throws (each method) when Redis does not answer in time */
export interface DeadLetterStore {
  add(letter: Omit<DeadLetter, "id">): Promise<void>;
  list(most: number): Promise<DeadLetters>;
  /** Answers how many will be sent again; 0: there is no such letter. @param id null: all */
  retry(id: string | null): Promise<number>;
  /** Answers how many were removed. @param id null: all */
  remove(id: string | null): Promise<number>;
  /** The oldest that are to be sent again; they stay until `retried`. */
  retries(most: number): Promise<DeadLetter[]>;
  retried(letters: readonly DeadLetter[]): Promise<void>;
}

type StreamEntry = [id: string, fields: string[]];

const FIELD = "letter";

export function createDeadLetters({ redis, prefix }: { redis: Redis; prefix: string }): DeadLetterStore {
  const key = deadLettersKey(prefix);
  const retries = retriesKey(prefix);

  const entries = (id: string | null): Promise<StreamEntry[]> =>
    redis.xrange(key, id ?? "-", id ?? "+", "COUNT", DEAD_LETTERS_MAX);

  return {
    async add(letter) {
      await redis.xadd(key, "MAXLEN", DEAD_LETTERS_MAX, "*", FIELD, JSON.stringify(letter));
    },
    async list(most) {
      const newest: StreamEntry[] = await redis.xrevrange(key, "+", "-", "COUNT", most);
      const [size, retrying] = await Promise.all([redis.xlen(key), redis.llen(retries)]);
      return { letters: newest.map(letterOf).filter((letter) => letter !== null), size, retrying };
    },
    async retry(id) {
      const letters = (await entries(id)).map(letterOf).filter((letter) => letter !== null);
      if (letters.length === 0) return 0;
      await redis
        .multi()
        .xdel(key, ...letters.map((letter) => letter.id))
        .rpush(retries, ...letters.map((letter) => JSON.stringify(letter)))
        .ltrim(retries, -DEAD_LETTERS_MAX, -1)
        .exec();
      return letters.length;
    },
    async remove(id) {
      if (id !== null) return redis.xdel(key, id);
      return redis.xtrim(key, "MAXLEN", 0);
    },
    async retries(most) {
      const texts = await redis.lrange(retries, 0, most - 1);
      const letters = texts.map((text) => [text, parsed(text)] as const);
      for (const [text, letter] of letters) if (!letter) await redis.lrem(retries, 1, text); // written by somebody else
      return letters.map(([, letter]) => letter).filter((letter) => letter !== null);
    },
    async retried(letters) {
      await Promise.all(letters.map((letter) => redis.lrem(retries, 1, JSON.stringify(letter))));
    },
  };
}

function letterOf([id, fields]: StreamEntry): DeadLetter | null {
  const letter = parsed(fields[fields.indexOf(FIELD) + 1] ?? "");
  return letter && { ...letter, id };
}

/** Null for what is no letter: Redis is open to whoever can reach it. */
function parsed(text: string): DeadLetter | null {
  try {
    const letter = JSON.parse(text) as Partial<DeadLetter> | null;
    const whole = typeof letter?.webhook === "string" && typeof letter.event?.id === "string";
    return whole && typeof letter.messageId === "string" ? (letter as DeadLetter) : null;
  } catch {
    return null;
  }
}
