// All backends that are probed, as one listener on all addresses of this machine: each of 127.x.y.z is one. It answers
// every request with the same bytes, and knows for each address when it was last asked and how long it was not.
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";

const ANSWER = Buffer.from("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
const BACKLOG = 4_096;

/** Address → when it was asked, and its longest pause since the last reset, ms. */
const seen = new Map<string, { lastMs: number; longestMs: number }>();
const counting = process.argv[2] === "--pauses";
let asked = 0;

const server = createServer((socket) => {
  asked += 1;
  if (counting) note(socket.localAddress ?? "");
  socket.on("error", () => socket.destroy());
  socket.once("data", () => socket.end(ANSWER));
});
server.listen({ port: 0, host: "0.0.0.0", backlog: BACKLOG });
await once(server, "listening");

function note(address: string): void {
  const nowMs = performance.now();
  const one = seen.get(address);
  if (!one) {
    seen.set(address, { lastMs: nowMs, longestMs: 0 });
    return;
  }
  one.longestMs = Math.max(one.longestMs, nowMs - one.lastMs);
  one.lastMs = nowMs;
}

export interface BackendReport {
  asked: number;
  /** Of all addresses, the pauses that last until now included. */
  longestPausesMs: number[];
  cpuS: number;
}

process.on("message", (message) => {
  const nowMs = performance.now();
  if (message === "reset") for (const one of seen.values()) one.longestMs = 0;
  const { user, system } = process.cpuUsage();
  const report: BackendReport = {
    asked,
    longestPausesMs: [...seen.values()].map(({ lastMs, longestMs }) => Math.max(longestMs, nowMs - lastMs)),
    cpuS: (user + system) / 1e6,
  };
  process.send?.(report);
});
process.on("disconnect", () => process.exit());
process.send?.((server.address() as AddressInfo).port);
