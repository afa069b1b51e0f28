// The clients' process (generator.ts), as the benchmark uses it.
import { fork } from "node:child_process";
import { once } from "node:events";
import type { Order } from "./generator.ts";
import { type Answered, unpacked } from "./records.ts";

export interface Clients {
  /** What they ask for, and how often, from now on. */
  ask(path: string, perSecond: number): void;
  /** What has ended since the last time. @throws when their process has ended */
  take(): Promise<Answered[]>;
  stop(): Promise<void>;
}

export function startClients(ports: readonly number[]): Clients {
  const child = fork(new URL("./generator.ts", import.meta.url), { execArgv: [], serialization: "advanced" });
  const exited = once(child, "exit");
  const ended = exited.then(() => Promise.reject(new Error("the clients' process has ended")));
  ended.catch(() => {});
  child.on("error", () => {}); // it has ended: `take` says so
  const send = (order: Order) => void child.send(order);
  send({ type: "start", ports: [...ports] });
  return {
    ask: (path, perSecond) => send({ type: "ask", path, perSecond }),
    async take() {
      const answer = once(child, "message");
      send({ type: "take" });
      const [numbers] = (await Promise.race([answer, ended])) as [Float64Array];
      return unpacked(numbers);
    },
    async stop() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
