// Load on one proxy, from the cores that are not the proxy's. For its maximum wrk where it is installed, since a generator
// that costs more than the proxy would be what is measured; at a given rate our own, which wrk cannot do.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Result, Task } from "./generator.ts";
import { isInstalled, startPinned, temporaryDirectory } from "./machine.ts";

export interface LoadTask {
  port: number;
  path: string;
  connections: number;
  bodyBytes: number;
  durationMs: number;
}

export interface Served {
  requests: number;
  perSecond: number;
}

export interface Load {
  /** What the maximum is measured with. */
  kind: string;
  /** As much as the proxy takes. @throws when a request fails */
  full(task: LoadTask): Promise<Served>;
  /** @throws when a request fails */
  paced(task: LoadTask, perSecond: number): Promise<Result>;
  stop(): Promise<void>;
}

export function createLoad(cores: string): Load {
  const program = fileURLToPath(new URL("./generator.ts", import.meta.url));
  const generator = startPinned(cores, process.execPath, [program]);
  const directory = temporaryDirectory();
  const ended = once(generator.child, "exit").then(() => {
    throw new Error("the load generator has ended");
  });
  ended.catch(() => {});
  const own = async (task: Task): Promise<Result> => {
    const answer = once(generator.child, "message");
    generator.child.send(task);
    const [result] = (await Promise.race([answer, ended])) as [Result];
    if (result.failures > 0) throw new Error(`${result.failures} of ${result.requests} requests failed`);
    return result;
  };
  const withWrk = isInstalled("wrk");
  return {
    kind: withWrk ? "wrk" : "a generator in Node (wrk is not installed), which bounds the rates",
    full: (task) => (withWrk ? wrk(task, cores, directory.path) : own({ ...task, perSecond: null })),
    paced: (task, perSecond) => own({ ...task, perSecond }),
    async stop() {
      await generator.stop();
      directory.remove();
    },
  };
}

async function wrk(task: LoadTask, cores: string, directory: string): Promise<Served> {
  const { port, path, connections, bodyBytes, durationMs } = task;
  const script = join(directory, "upload.lua");
  writeFileSync(script, `wrk.method = "POST"\nwrk.body = string.rep("x", ${bodyBytes})\n`);
  const args = ["-c", cores, "wrk", "-t1", `-c${connections}`, `-d${Math.ceil(durationMs / 1_000)}s`];
  if (bodyBytes > 0) args.push("-s", script);
  const child = spawn("taskset", [...args, `http://127.0.0.1:${port}${path}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (chunk) => {
    text += chunk;
  });
  await once(child, "close");
  const [, requests] = /(\d+) requests in /.exec(text) ?? [];
  const [, perSecond] = /Requests\/sec: +([\d.]+)/.exec(text) ?? [];
  const [fault] = /Non-2xx.*|Socket errors: (?!connect 0, read 0, write 0).*/.exec(text) ?? [];
  if (requests === undefined || perSecond === undefined || fault) throw new Error(`wrk: ${fault ?? text}`);
  return { requests: Number(requests), perSecond: Number(perSecond) };
}
