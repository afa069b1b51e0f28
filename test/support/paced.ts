// Paced backends (paced-process.ts) in a process of their own: forty of them cost one process.
import { fork } from "node:child_process";
import { once } from "node:events";
import type { Pace } from "./paced-process.ts";

export type { Pace } from "./paced-process.ts";

const PROCESS = new URL("./paced-process.ts", import.meta.url);

export interface PacedBackends {
  /** In the order of their paces. */
  urls: string[];
  stop(): void;
}

export async function startPacedBackends(paces: readonly Pace[]): Promise<PacedBackends> {
  const process = fork(PROCESS, [], { execArgv: [] });
  process.send(paces);
  const [ports] = (await once(process, "message")) as [number[]];
  return {
    urls: ports.map((port) => `http://127.0.0.1:${port}`),
    stop: () => process.disconnect(),
  };
}
