// Dead letters without Redis.
import type { DeadLetter } from "@evenkeel/core/wire/dead-letter.ts";
import type { DeadLetterStore } from "@evenkeel/ledger/dead-letters.ts";

export interface MemoryDeadLetters extends DeadLetterStore {
  letters: DeadLetter[];
  retrying: DeadLetter[];
}

export function createMemoryDeadLetters(): MemoryDeadLetters {
  let added = 0;
  const take = (id: string | null): DeadLetter[] => {
    const taken = store.letters.filter((letter) => id === null || letter.id === id);
    store.letters = store.letters.filter((letter) => !taken.includes(letter));
    return taken;
  };
  const store: MemoryDeadLetters = {
    letters: [],
    retrying: [],
    async add(letter) {
      added += 1;
      store.letters.push({ ...letter, id: `${added}-0` });
    },
    list: async (most) => ({
      letters: store.letters.toReversed().slice(0, most),
      size: store.letters.length,
      retrying: store.retrying.length,
    }),
    async retry(id) {
      const taken = take(id);
      store.retrying.push(...taken);
      return taken.length;
    },
    remove: async (id) => take(id).length,
    retries: async (most) => store.retrying.slice(0, most),
    async retried(letters) {
      store.retrying = store.retrying.filter((letter) => !letters.includes(letter));
    },
  };
  return store;
}
