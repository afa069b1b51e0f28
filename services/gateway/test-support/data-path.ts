// For tests of the data path: a scheduling in memory that remembers what it was told, backends and a gateway on
// loopback, and clients that show the raw bytes.
import { createServer, type IncomingMessage, type RequestListener, request, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { resolveConfig } from "@evenkeel/core/config/resolve.ts";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics, type Metrics } from "@evenkeel/runtime/metrics.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";
import { afterEach } from "vitest";
import { createAccessServices } from "../access/services.ts";
import { createDataPath, type DataPath, type DataPathOptions } from "../data-path.ts";
import { bindAlone } from "../listeners/bind.ts";
import { createMemoryScheduling, type MemoryScheduling } from "./memory-scheduling.ts";

export { createMemoryScheduling, eventually } from "./memory-scheduling.ts";

const WAIT_MS = 5_000;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A backend that speaks HTTP. Answers its origin. */
export async function startBackend(handler: RequestListener): Promise<string> {
  const server = createServer({ maxHeaderSize: 64 * 1024 }, handler);
  server.maxHeadersCount = 0;
  return listenOn(server);
}

/** A backend that gets the bare connection. @param allowHalfOpen it does not end its side when the other has */
export async function startRawBackend(
  handler: (socket: Socket) => void,
  { allowHalfOpen = false, port = 0 } = {},
): Promise<string> {
  return listenOn(
    createTcpServer({ allowHalfOpen }, (socket) => {
      socket.on("error", () => {});
      handler(socket);
    }),
    port,
  );
}

async function listenOn(server: Server | ReturnType<typeof createTcpServer>, port = 0): Promise<string> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** An origin on which nothing listens. */
export async function closedOrigin(): Promise<string> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

export interface TestGateway {
  url: string;
  port: number;
  dataPath: DataPath;
  scheduling: MemoryScheduling;
  metrics: Metrics;
  logged: Record<string, unknown>[];
  /** The value of one series. */
  metric(name: string, labels?: Record<string, string>): Promise<number>;
}

/** A gateway with one pool "p" of these backends, named b1, b2, … and one route to it, unless `config` says else. */
export async function startGateway(
  origins: readonly string[],
  config: Partial<ConfigDocument> = {},
  options: Partial<DataPathOptions> = {},
): Promise<TestGateway> {
  const scheduling = createMemoryScheduling();
  const metrics = createMetrics();
  const logged: Record<string, unknown>[] = [];
  const log = createLog("silent", { role: "gateway", id: "test" });
  const clock = options.clock ?? (() => performance.now());
  const redis = {} as Redis; // only rate limits need one
  const accessLog = { info: (line: Record<string, unknown>) => logged.push(line) };
  const dataPath = createDataPath({
    scheduling,
    metrics,
    log,
    access: createAccessServices({ redis, prefix: "test", metrics, log, clock, now: Date.now }),
    zone: "",
    cookieSecret: () => null,
    accessLog: accessLog as never,
    clock,
    random: Math.random,
    bind: bindAlone,
    portOffset: 0,
    drainGraceMs: 0,
    drainDeadlineMs: WAIT_MS,
    ...options,
  });
  await dataPath.configure(resolveConfig({ ...documentFor(origins), ...config }));
  cleanups.push(() => dataPath.drain());
  const url = dataPath.listeners()[0]?.url ?? "";
  const metric = async (name: string, labels: Record<string, string> = {}) => {
    const found = await metrics.registry.getSingleMetric(name)?.get();
    const wanted = Object.entries(labels);
    const series = found?.values.filter((value) =>
      wanted.every(([label, is]) => (value.labels as Record<string, unknown>)[label] === is),
    );
    return (series ?? []).reduce((sum, { value }) => sum + value, 0);
  };
  return { url, port: Number(url.split(":")[2]), dataPath, scheduling, metrics, logged, metric };
}

export const documentFor = (origins: readonly string[]): ConfigDocument => ({
  listeners: [{ name: "web", protocol: "http", port: 0, address: "127.0.0.1" }],
  routes: [{ name: "all", match: {}, proxy: "dynamic", pool: "p" }],
  pools: [{ name: "p", backends: origins.map((url, i) => ({ id: `b${i + 1}`, url })) }],
  debugHeaders: true,
});

export interface Answer {
  status: number;
  headers: IncomingMessage["headers"];
  rawHeaders: string[];
  body: Buffer;
  text: string;
}

export interface Sending {
  method?: string;
  path?: string;
  headers?: Record<string, string | string[]>;
  body?: string | Buffer;
}

/** One request on a connection of its own; rejects when the answer does not arrive whole. */
export function send(
  url: string,
  { method = "GET", path = "/", headers = {}, body }: Sending = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const whole = Buffer.concat(chunks);
        const { statusCode = 0, headers, rawHeaders } = response;
        resolve({ status: statusCode, headers, rawHeaders, body: whole, text: whole.toString() });
      });
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

export interface RawClient {
  socket: Socket;
  received(): string;
  closed(): boolean;
}

/** A bare connection to the gateway, on which `text` is sent. @param allowHalfOpen as of a backend */
export function sendRaw(port: number, text: string, { allowHalfOpen = false } = {}): RawClient {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen });
  let received = "";
  let closed = false;
  socket.on("data", (chunk) => {
    received += chunk.toString("latin1");
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    closed = true;
  });
  socket.write(Buffer.from(text, "latin1"));
  cleanups.push(() => socket.resetAndDestroy()); // an end alone would leave a tunnel half open
  return { socket, received: () => received, closed: () => closed };
}

/** The first data of a connection that looks like a whole header section. */
export function onRequestHead(socket: Socket, handle: (head: string) => void): void {
  let text = "";
  socket.on("data", function read(chunk) {
    text += chunk.toString("latin1");
    if (!text.includes("\r\n\r\n")) return;
    socket.off("data", read);
    handle(text);
  });
}
