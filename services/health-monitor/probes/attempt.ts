// One attempt with a hard limit: whatever a backend does or fails to do, there is an answer in time, as a value,
// and nothing of the connection is left behind.

export interface ProbeResult {
  ok: boolean;
  latencyMs: number;
  /** Short and bounded, for a log line: "status 503", "timeout", "ECONNREFUSED". */
  reason: string;
}

/** Never rejects, and is always done within its limit. */
export type Probe = () => Promise<ProbeResult>;

export type Done = (ok: boolean, reason: string) => void;

/** @param start opens the connection and answers it; it may call `done` at once and as often as it likes */
export function attempt(
  timeoutMs: number,
  start: (done: Done) => { destroy(): unknown },
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const startedMs = performance.now();
    let connection: { destroy(): unknown } | null = null;
    let settled = false;
    const done: Done = (ok, reason) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      connection?.destroy();
      resolve({ ok, latencyMs: performance.now() - startedMs, reason });
    };
    // What has arrived while this process was busy is read first.
    const timer = setTimeout(setImmediate, timeoutMs, done, false, "timeout");
    try {
      connection = start(done);
      if (settled) connection.destroy();
    } catch (error) {
      done(false, reasonOf(error as Error));
    }
  });
}

const REASON_MAX = 100;

export const reasonOf = (error: NodeJS.ErrnoException): string =>
  error.code ?? error.message.slice(0, REASON_MAX);
