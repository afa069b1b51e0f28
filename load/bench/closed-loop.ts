// Closed-loop HTTP load over raw sockets: as many connections as requests are open at once, each sends its next
// request when the last one was answered. It shares the machine with what it measures, so it does as little as it can.
import { connect, type Socket } from "node:net";

const HEAD_END = "\r\n\r\n";
const CONNECT_BATCH = 100;

export interface Latencies {
  requests: number;
  failures: number;
  p50Ms: number;
  p99Ms: number;
}

export interface ClosedLoop {
  /** Keeps all connections busy for so long, each with requests to one of the paths. */
  run(paths: readonly string[], durationMs: number): Promise<Latencies>;
  close(): void;
}

/** @param url of the gateway's listener */
export async function openClosedLoop(url: string, connections: number): Promise<ClosedLoop> {
  const { hostname, port } = new URL(url);
  const sockets: Socket[] = [];
  while (sockets.length < connections) {
    const batch = Math.min(CONNECT_BATCH, connections - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: batch }, () => open(hostname, Number(port))))));
  }
  return {
    async run(paths, durationMs) {
      const requests = paths.map((path) => Buffer.from(`GET ${path} HTTP/1.1\r\nhost: ${hostname}\r\n\r\n`));
      const untilMs = performance.now() + durationMs;
      const took: number[] = [];
      const failures = await Promise.all(
        sockets.map((socket, i) => loop(socket, requests[i % requests.length] as Buffer, untilMs, took)),
      );
      const sorted = Float64Array.from(took).sort();
      const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
      return {
        requests: took.length,
        failures: failures.reduce((sum, n) => sum + n, 0),
        p50Ms: at(0.5),
        p99Ms: at(0.99),
      };
    },
    close() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

function open(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    socket.once("connect", () => resolve(socket));
    socket.once("error", reject);
  });
}

/** Answers how many were not answered with 200. @throws when the gateway closes the connection */
function loop(socket: Socket, request: Buffer, untilMs: number, took: number[]): Promise<number> {
  return new Promise((resolve, reject) => {
    let failures = 0;
    let startedMs = 0;
    let text = "";
    const send = () => {
      startedMs = performance.now();
      socket.write(request);
    };
    const lost = () => reject(new Error("the gateway closed a connection"));
    socket.once("close", lost);
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      if (!isComplete(text)) return;
      const nowMs = performance.now();
      took.push(nowMs - startedMs);
      if (!text.startsWith("HTTP/1.1 200")) failures += 1;
      text = "";
      if (nowMs < untilMs) return send();
      socket.removeAllListeners("data");
      socket.off("close", lost);
      resolve(failures);
    });
    send();
  });
}

/** Of answers with a content-length, as all are here. */
function isComplete(text: string): boolean {
  const headEnd = text.indexOf(HEAD_END);
  if (headEnd < 0) return false;
  const length = Number(/content-length: *(\d+)/i.exec(text)?.[1] ?? 0);
  return text.length >= headEnd + HEAD_END.length + length;
}
