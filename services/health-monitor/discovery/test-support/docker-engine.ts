// The few calls of a Docker Engine's API that discovery makes, over a unix socket as the Engine has it.
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Container } from "../docker-containers.ts";

export async function startDockerEngine() {
  const folder = mkdtempSync(join(tmpdir(), "evenkeel-docker-"));
  const path = join(folder, "docker.sock");
  let containers: unknown = [];
  let status = 200;
  let silent = false;
  const requests: string[] = [];
  const followers = new Set<ServerResponse>();

  const create = () =>
    createServer((request, response) => {
      const url = new URL(request.url ?? "/", "http://docker");
      requests.push(url.pathname);
      const filters = JSON.parse(url.searchParams.get("filters") ?? "{}");
      if (filters.label?.[0] !== "evenkeel.pool") response.writeHead(400).end('{"message":"which ones?"}');
      else if (url.pathname === "/containers/json") {
        if (silent) return;
        response.writeHead(status, { "content-type": "application/json" });
        response.end(JSON.stringify(status === 200 ? containers : { message: "no such luck" }));
      } else {
        response.writeHead(200, { "content-type": "application/json" });
        response.flushHeaders();
        followers.add(response.on("close", () => followers.delete(response)));
      }
    });
  let server = create().listen(path);
  await once(server, "listening");
  const stop = async () => {
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  };
  onTestFinished(async () => {
    if (server.listening) await stop();
    rmSync(folder, { recursive: true, force: true });
  });

  return {
    host: `unix://${path}`,
    requests,
    /** How many listen for events. */
    get followers() {
      return followers.size;
    },
    listed: () => requests.filter((one) => one === "/containers/json").length,
    set(next: { containers?: unknown; status?: number; silent?: boolean }) {
      containers = next.containers ?? containers;
      status = next.status ?? 200;
      silent = next.silent ?? false;
    },
    event(action = "start") {
      for (const follower of followers)
        follower.write(`${JSON.stringify({ Type: "container", Action: action })}\n`);
    },
    endEvents() {
      for (const follower of followers) follower.end();
    },
    stop,
    async start() {
      server = create().listen(path);
      await once(server, "listening");
    },
  };
}

/** One that runs, on one network. */
export const container = (name: string, address: string, labels: Record<string, string> = {}): Container => ({
  Id: `${name}-0123456789abcdef`,
  Names: [`/${name}`],
  Labels: { "evenkeel.pool": "shop", "evenkeel.port": "8080", ...labels },
  State: "running",
  Status: "Up 5 minutes",
  NetworkSettings: { Networks: { web: { IPAddress: address } } },
});
