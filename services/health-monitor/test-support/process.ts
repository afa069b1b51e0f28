// Health-monitors as real processes.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));

export type MonitorProcess = Awaited<ReturnType<ReturnType<typeof createNursery>["start"]>>;

/** Whatever it started is gone after `killAll`. */
export function createNursery(prefix: string) {
  const children: ChildProcess[] = [];
  return {
    async start(variables: Record<string, string>) {
      const child = spawn(process.execPath, [MAIN], {
        env: { PATH: process.env.PATH, EVENKEEL_PREFIX: prefix, EVENKEEL_LOG_LEVEL: "silent", ...variables },
        stdio: ["ignore", "ignore", "inherit", "ipc"],
      });
      children.push(child);
      const [report] = (await once(child, "message")) as [{ ready: boolean; adminUrl: string }];
      const get = async (path: string) => {
        const response = await fetch(report.adminUrl + path);
        return { status: response.status, text: await response.text() };
      };
      return {
        child,
        get,
        ready: async () => (await get("/readyz")).status === 200,
        /** Sum over all series whose name begins so. */
        metric: async (name: string) => {
          const lines = (await get("/metrics")).text.split("\n").filter((line) => line.startsWith(name));
          return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
        },
        async exit(signal: NodeJS.Signals) {
          const exited = once(child, "exit");
          child.kill(signal);
          return (await exited) as [number | null, NodeJS.Signals | null];
        },
      };
    },
    killAll() {
      for (const child of children.splice(0)) child.kill("SIGKILL");
    },
  };
}
