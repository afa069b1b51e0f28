// Many small reads of Redis, without filling its queue.
/** Logs read at the same time, over the connection for control traffic. */
const READ_AT_ONCE = 64;

/** All of them, a bounded number at once. */
export async function inTurns<T>(items: readonly T[], act: (item: T) => Promise<unknown>): Promise<void> {
  const left = items.values();
  const worker = async () => {
    for (const item of left) await act(item);
  };
  await Promise.all(Array.from({ length: Math.min(READ_AT_ONCE, items.length) }, worker));
}
