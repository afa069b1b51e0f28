// Many backends as one listener on all of 127.0.0.0/8, which notes for each address when it was asked.
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";

const ANSWER = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

export interface Addresses {
  urls: string[];
  /** How many were asked since the last `forget`. */
  asked(): number;
  /** The longest any of them was not asked since the last `forget`, the time until now included, ms. */
  longestPauseMs(): number;
  /** Begins anew, as if all had been asked just now. */
  forget(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function startAddresses(count: number): Promise<Addresses> {
  const addresses = Array.from({ length: count }, (_, i) => `127.9.${Math.floor(i / 250)}.${1 + (i % 250)}`);
  const lastMs = new Map<string, number>();
  const asked = new Set<string>();
  let longestMs = 0;
  const server = createServer((socket) => {
    const address = socket.localAddress ?? "";
    const nowMs = performance.now();
    longestMs = Math.max(longestMs, nowMs - (lastMs.get(address) ?? nowMs));
    lastMs.set(address, nowMs);
    asked.add(address);
    socket.on("error", () => socket.destroy());
    socket.once("data", () => socket.end(ANSWER));
  });
  server.listen(0, "0.0.0.0");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    urls: addresses.map((address) => `http://${address}:${port}`),
    asked: () => asked.size,
    longestPauseMs() {
      const nowMs = performance.now();
      return Math.max(longestMs, ...addresses.map((address) => nowMs - (lastMs.get(address) ?? nowMs)));
    },
    forget() {
      const nowMs = performance.now();
      for (const address of addresses) lastMs.set(address, nowMs);
      asked.clear();
      longestMs = 0;
    },
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
}
