// What was found out and holds for a while: at most so many, those not asked for longest go first.

export interface BoundedCache<V> {
  get(key: string): V | undefined;
  /** @param until ms, of the cache's clock */
  set(key: string, value: V, until: number): void;
  readonly size: number;
}

export function createBoundedCache<V>(max: number, clock: () => number): BoundedCache<V> {
  const entries = new Map<string, { value: V; until: number }>();
  return {
    get size() {
      return entries.size;
    },
    get(key) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entries.delete(key);
      if (entry.until <= clock()) return undefined;
      entries.set(key, entry);
      return entry.value;
    },
    set(key, value, until) {
      entries.delete(key);
      entries.set(key, { value, until });
      if (entries.size <= max) return;
      for (const oldest of entries.keys()) {
        entries.delete(oldest);
        return;
      }
    },
  };
}
