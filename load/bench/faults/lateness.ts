// How late the machine lets a timer be: on one that is busy with other things, what takes that long says nothing about what is
// measured.

const EVERY_MS = 5;

export interface Lateness {
  p99Ms: number;
  maxMs: number;
}

/** Of a timer in this process, from now on; the function it answers ends it. */
export function watchLateness(): () => Lateness {
  const lateMs: number[] = [];
  let lastMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    lateMs.push(Math.max(0, nowMs - lastMs - EVERY_MS));
    lastMs = nowMs;
  }, EVERY_MS);
  return () => {
    clearInterval(timer);
    lateMs.push(Math.max(0, performance.now() - lastMs - EVERY_MS)); // what has not come yet is late too
    const sorted = Float64Array.from(lateMs).sort();
    return {
      p99Ms: sorted[Math.floor(0.99 * (sorted.length - 1))] as number,
      maxMs: sorted.at(-1) as number,
    };
  };
}
