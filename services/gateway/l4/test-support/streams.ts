// For tests of what is below HTTP: listeners on loopback over a scheduling in memory, with everything that is told.
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { type Config, type Listener, type Route, resolveConfig } from "@evenkeel/core/config/resolve.ts";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { afterEach } from "vitest";
import { bindAlone } from "../../listeners/bind.ts";
import type { OpenServer } from "../../listeners/opened.ts";
import type { Breakers } from "../../proxy/breaker.ts";
import { createRetryBudget } from "../../proxy/retry-budget.ts";
import {
  createMemoryScheduling,
  eventually,
  type MemoryScheduling,
} from "../../test-support/memory-scheduling.ts";
import type { Drop, StreamFinished, StreamReport } from "../report.ts";
import { compileStreamRoutes } from "../stream-router.ts";
import type { StreamSurroundings } from "../surroundings.ts";
import { createTcpOpener, type TcpOptions } from "../tcp.ts";
import { createUdpOpener } from "../udp.ts";

export { eventually };

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
export const onCleanup = (cleanup: () => unknown) => cleanups.push(cleanup);

export interface RecordedReport extends StreamReport {
  finishes: StreamFinished[];
  drops: Drop[];
  /** Connections or sessions. */
  opened(): number;
  bytes: { in: number; out: number };
}

export function createRecordedReport(): RecordedReport {
  const finishes: StreamFinished[] = [];
  const drops: Drop[] = [];
  let open = 0;
  const bytesIn = { value: 0 };
  const bytesOut = { value: 0 };
  return {
    finishes,
    drops,
    opened: () => open,
    get bytes() {
      return { in: bytesIn.value, out: bytesOut.value };
    },
    series: () => ({ bytesIn, bytesOut }),
    finished: (stream) => finishes.push(stream),
    dropped: (_, reason) => drops.push(reason),
    open: (_listener, _protocol, count) => {
      open = count;
    },
    keep: () => {},
  };
}

export interface StreamGateway {
  port: number;
  server: OpenServer;
  /** The same listener once more. */
  reopen(port: number): Promise<OpenServer>;
  listener: Listener;
  scheduling: MemoryScheduling;
  report: RecordedReport;
  retried: string[];
  /** Moves the clock that idle times are measured by. */
  clock: { nowMs: number };
  /** Nothing is held, open or waiting any more. */
  settled(): Promise<void>;
}

export interface GatewayOptions {
  listener?: Partial<ConfigDocument["listeners"][number]>;
  routes?: Partial<ConfigDocument["routes"][number]>[];
  pool?: Partial<ConfigDocument["pools"][number]>;
  openTls?: TcpOptions["openTls"];
  allowed?: StreamSurroundings["allowed"];
  /** Tells no time by itself. */
  frozen?: boolean;
  scheduling?: MemoryScheduling;
  breakers?: Breakers;
}

export async function startStreams(
  urls: readonly string[],
  {
    listener,
    routes = [{}],
    pool,
    openTls,
    allowed,
    frozen,
    scheduling: given,
    breakers,
  }: GatewayOptions = {},
): Promise<StreamGateway> {
  const config: Config = resolveConfig({
    listeners: [{ name: "l", protocol: "tcp", port: 0, address: "127.0.0.1", ...listener }],
    routes: routes.map(({ match, ...route }, i) => ({
      name: `r${i + 1}`,
      proxy: "dynamic" as const,
      pool: "p",
      ...route,
      match: { listener: "l", ...match },
    })),
    pools: [{ name: "p", backends: urls.map((url, i) => ({ id: `b${i + 1}`, url })), ...pool }],
  });
  const scheduling = given ?? createMemoryScheduling();
  scheduling.setPools(config.pools);
  const report = createRecordedReport();
  const retried: string[] = [];
  const clock = { nowMs: 0 };
  const now = frozen ? () => clock.nowMs : () => performance.now();
  const budget = createRetryBudget(now);
  const router = compileStreamRoutes<Route>(config.routes, "l");
  const around: StreamSurroundings = {
    scheduling,
    report,
    retries: { retried: (name) => retried.push(name), budgetExhausted: () => {} },
    clock: now,
    route: (_, sni, client) => router(sni, client),
    allowed: allowed ?? (() => true),
    destination: (route) => {
      const found = config.pools.find(({ name }) => name === route.pool);
      const held = route.proxy === "static" ? route.backend : null;
      return found ? { pool: found, budget, breakers: breakers ?? null, want: null, held, next: null } : null;
    },
  };
  const first = config.listeners[0] as Listener;
  const noTls = () => Promise.reject(new Error("no TLS in this test"));
  const open =
    first.protocol === "udp"
      ? createUdpOpener(around)
      : createTcpOpener({ around, bind: bindAlone, openTls: openTls ?? noTls });
  const server = await open(first, 0);
  cleanups.push(() => server.close(0));
  const settled = () =>
    eventually(
      () => scheduling.held() === 0 && scheduling.waiting() === 0 && report.opened() === 0,
      "everything to be released",
    );
  const reopen = (port: number) => open(first, port);
  return { port: server.port, server, reopen, listener: first, scheduling, report, retried, clock, settled };
}

/** A backend that gets the bare connections; both directions end by themselves. Answers its origin. */
export async function startTcpBackend(handle: (socket: Socket) => void, port = 0): Promise<string> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    handle(socket);
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export const startEcho = () => startTcpBackend((socket) => socket.pipe(socket));

/** An origin on which nothing listens. */
export async function closedTcpOrigin(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `tcp://127.0.0.1:${port}`;
}

export interface TestClient {
  socket: Socket;
  received(): string;
  ended(): boolean;
  closed(): boolean;
  /** The code of the error it met. */
  fault(): string | null;
}

/** Half-open as a client may be: it ends when the test says so. */
export function startClient(port: number, text: string | Buffer = ""): TestClient {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const chunks: Buffer[] = [];
  let ended = false;
  let closed = false;
  let fault: string | null = null;
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("end", () => {
    ended = true;
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    fault = error.code ?? error.message;
  });
  socket.on("close", () => {
    closed = true;
  });
  if (text.length > 0) socket.write(text);
  cleanups.push(() => socket.destroy());
  return {
    socket,
    received: () => Buffer.concat(chunks).toString("latin1"),
    ended: () => ended,
    closed: () => closed,
    fault: () => fault,
  };
}
