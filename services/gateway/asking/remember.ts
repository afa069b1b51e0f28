// Remembers what a function answered, for the keys asked most lately: at least `capacity` of them, at most twice as
// many. What was not asked for during a whole generation is forgotten, so nothing has to be moved on a hit.
export function remember<K, V>(capacity: number, compute: (key: K) => V): (key: K) => V {
  let young = new Map<K, V>();
  let old = new Map<K, V>();
  return (key) => {
    const known = young.get(key);
    if (known !== undefined) return known;
    const kept = old.get(key);
    const value = kept !== undefined ? kept : compute(key);
    if (young.size >= capacity) {
      old = young;
      young = new Map();
    }
    young.set(key, value);
    return value;
  };
}
