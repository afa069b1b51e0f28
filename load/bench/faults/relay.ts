// What lies between the services and Redis, so that the gateways' subscriptions can be lost, and nothing else: they are told
// by the names that connections give themselves first of all.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/**
 * `open`: all is passed on. `silent`: what Redis says to the gateways' subscribers is lost, their connections stand.
 * `cut`: those connections break, and so does every new one.
 */
export type Passing = "open" | "silent" | "cut";

export interface Relay {
  url: string;
  /** Subscribers of gateways that have come by so far. */
  readonly subscribers: number;
  pass(how: Passing): void;
  stop(): Promise<void>;
}

const SUBSCRIBER = /gateway-[^\r]*:events\r\n/;
/** A name comes within the first bytes of a connection. */
const NAME_WITHIN_BYTES = 4_096;

export async function startRelay(redisPort: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  const subscribers = new Set<Socket>();
  let how: Passing = "open";
  let seen = 0;

  const server = createServer({ noDelay: true }, (client) => {
    const redis = connect({ port: redisPort, host: "127.0.0.1", noDelay: true });
    let begin = "";
    for (const [from, to] of [
      [client, redis],
      [redis, client],
    ] as const) {
      sockets.add(from);
      from.on("error", () => {});
      from.on("close", () => {
        sockets.delete(from);
        subscribers.delete(from);
        to.destroy();
      });
    }
    client.on("data", (chunk) => {
      if (begin.length < NAME_WITHIN_BYTES && !subscribers.has(client)) {
        begin += chunk.toString("latin1");
        if (SUBSCRIBER.test(begin)) {
          subscribers.add(client);
          seen += 1;
          if (how === "cut") return void client.destroy();
        }
      }
      redis.write(chunk);
    });
    redis.on("data", (chunk) => {
      if (how !== "silent" || !subscribers.has(client)) client.write(chunk);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get subscribers() {
      return seen;
    },
    pass(next) {
      how = next;
      if (how === "cut") for (const client of subscribers) client.destroy();
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
