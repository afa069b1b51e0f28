// Memory of a running gateway, asked of its own V8 by the inspector's protocol: what is alive after a collection, which no
// look from outside can tell.
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

/** For every process of the cluster, since each may be asked: the system chooses the inspector's port. */
export const INSPECTABLE = { NODE_OPTIONS: "--inspect-port=127.0.0.1:0" } as const;

const ANSWER_TIMEOUT_MS = 30_000;
const POLL_MS = 50;

/** Bytes, after a collection. */
export interface Memory {
  rss: number;
  heapUsed: number;
  /** Outside the heap and held by it: buffers above all. */
  external: number;
}

export interface Inspector {
  /** Collects garbage first. */
  memory(): Promise<Memory>;
  /** As it stands. */
  now(): Promise<Memory>;
  close(): void;
}

/** @param log what the process has written so far: says where its inspector listens */
export async function inspect(pid: number, log: () => string): Promise<Inspector> {
  const before = log().length;
  process.kill(pid, "SIGUSR1");
  const deadlineMs = performance.now() + ANSWER_TIMEOUT_MS;
  let url: string | undefined;
  while (url === undefined) {
    if (performance.now() > deadlineMs) throw new Error("the gateway does not open its inspector");
    await sleep(POLL_MS);
    url = /Debugger listening on (ws:\S+)/.exec(log().slice(before))?.[1];
  }
  const socket = new WebSocket(url);
  await once(socket, "open");
  const waiting = new Map<number, (result: { result?: { value?: string } }) => void>();
  socket.addEventListener("message", ({ data }) => {
    const { id, result } = JSON.parse(String(data));
    waiting.get(id)?.(result);
    waiting.delete(id);
  });
  let last = 0;
  const ask = (method: string, params: object = {}) => {
    last += 1;
    const id = last;
    const { promise, resolve } = Promise.withResolvers<{ result?: { value?: string } }>();
    waiting.set(id, resolve);
    socket.send(JSON.stringify({ id, method, params }));
    return promise;
  };
  const now = async (): Promise<Memory> => {
    const { result } = await ask("Runtime.evaluate", { expression: "JSON.stringify(process.memoryUsage())" });
    return JSON.parse(result?.value ?? "null");
  };
  return {
    now,
    async memory() {
      await ask("HeapProfiler.collectGarbage");
      await ask("HeapProfiler.collectGarbage"); // what finalizers let go in the first
      return now();
    },
    close: () => socket.close(),
  };
}
