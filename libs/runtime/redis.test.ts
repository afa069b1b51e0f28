import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { createLog } from "./log.ts";
import { openBlocking, openRedis, openSubscriber, type Redis } from "./redis.ts";

const log = createLog("silent", { role: "test", id: "test" });
/** Well below the 10 s for which the client by itself would look away. */
const SOON = { timeout: 3_000 };

const COMMAND = /\*\d+\r\n\$\d+\r\n([^\r]*)\r\n(?:\$\d+\r\n[^\r]*\r\n)*/g;
const STARTING = "loading:1\r\nloading_eta_seconds:86400\r\n";
const LOADED = "loading:0\r\n";

const open: { server: Server; sockets: Set<Socket>; redis: Redis }[] = [];
afterEach(() => {
  for (const { server, sockets, redis } of open.splice(0)) {
    redis.disconnect();
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

/** Says when it is first asked that it will load its data for a day, and then that it is done. */
async function startLoading(connect: (url: string) => Redis): Promise<Redis> {
  const sockets = new Set<Socket>();
  let asked = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      for (const [, name = ""] of String(chunk).matchAll(COMMAND)) {
        if (name.toLowerCase() !== "info") socket.write("+OK\r\n");
        else {
          asked += 1;
          const info = asked === 1 ? STARTING : LOADED;
          socket.write(`$${info.length}\r\n${info}\r\n`);
        }
      }
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const redis = connect(`redis://127.0.0.1:${(server.address() as AddressInfo).port}`);
  open.push({ server, sockets, redis });
  return redis;
}

describe("a connection to a Redis that still loads its data", () => {
  for (const connect of [openRedis, openSubscriber, openBlocking]) {
    it(`is ready soon after that is done, whatever Redis reckoned (${connect.name})`, async () => {
      const redis = await startLoading((url) => connect({ url, name: "test" }, log));
      await expect.poll(() => redis.status, SOON).toBe("ready");
    });
  }
});
