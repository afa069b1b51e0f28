// A redis-server of a test's own, to be killed and started again on the same port.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./until.ts";

const executable = ["redis-server", "valkey-server"].find(
  (name) => spawnSync(name, ["--version"]).status === 0,
);

/** False where tests get their Redis from elsewhere, a container perhaps. */
export const redisServerInstalled = executable !== undefined;

export async function startRedisServer(remembering: "nothing" | "everything" = "nothing") {
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), "evenkeel-monitor-"));
  const memory = remembering === "everything" ? ["--appendonly", "yes", "--appendfsync", "always"] : [];
  const run = () =>
    spawn(
      executable as string,
      ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory, ...memory],
      { stdio: "ignore" },
    );
  let child = run();
  await until("redis-server accepts connections", () => accepts(port));
  return {
    url: `redis://127.0.0.1:${port}`,
    async kill() {
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    },
    async restart() {
      child = run();
      await until("redis-server accepts connections again", () => accepts(port));
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  return once(socket, "connect")
    .then(
      () => true,
      () => false,
    )
    .finally(() => socket.destroy());
}
