// For tests of HTTP/1 connections: a server whose requests are answered by the test, and clients that show raw bytes.
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { DEFAULT_HTTP_LIMITS, type HttpLimits } from "@evenkeel/core/config/resolve-listeners.ts";
import { onTestFinished, vi } from "vitest";
import type { Fields } from "../../messages/fields.ts";
import type { ClientEvents, Incoming } from "../../messages/incoming.ts";
import type { ResponseHead } from "../../messages/message.ts";
import type { HttpConnection } from "../http-connection.ts";
import { serveHttp1 } from "../http1-connection.ts";

const WAIT_MS = 5_000;

/** What a test has seen of one request, and its means to answer. */
export interface Seen {
  incoming: Incoming;
  body: string;
  /** What was told, in order, but for data. */
  told: string[];
  trailers: Fields | null;
  onData: (chunk: Buffer) => void;
  onDrain: () => void;
  /** A whole answer. */
  answer(text: string, status?: number): void;
}

export interface TestServer {
  port: number;
  requests: Seen[];
  refused: number[];
  endpoint: { name: string; closing: boolean };
  connections: HttpConnection[];
  sockets: Socket[];
}

export interface ServerOptions {
  limits?: Partial<HttpLimits>;
  /** Called with each request before its handler returns. */
  onRequest?: (seen: Seen) => void;
  /** Of each connection, handed over as bytes that were read before. */
  first?: string;
}

export async function startHttp1(options: ServerOptions = {}): Promise<TestServer> {
  const requests: Seen[] = [];
  const refused: number[] = [];
  const connections: HttpConnection[] = [];
  const sockets: Socket[] = [];
  const endpoint = { name: "web", closing: false };
  const limits = { ...DEFAULT_HTTP_LIMITS, ...options.limits };
  const handler = (incoming: Incoming): ClientEvents => {
    const seen = see(incoming);
    requests.push(seen);
    options.onRequest?.(seen);
    return eventsOf(seen);
  };
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const { localPort = 0 } = socket;
    const local = { localAddress: "127.0.0.1", localPort };
    const connection = { endpoint, peer: "127.0.0.1", peerPort: 0, ...local, tls: null };
    const first = options.first === undefined ? null : Buffer.from(options.first, "latin1");
    const serving = { handler, limits, onRefused: (status: number) => refused.push(status) };
    sockets.push(socket);
    connections.push(serveHttp1(socket, connection, serving, first));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, requests, refused, endpoint, connections, sockets };
}

function see(incoming: Incoming): Seen {
  return {
    incoming,
    body: "",
    told: [],
    trailers: null,
    onData: () => {},
    onDrain: () => {},
    answer(text, status = 200) {
      const body = Buffer.from(text, "latin1");
      incoming.sendHead({ status, reason: "", fields: [], bodyLength: body.length, tunnel: false });
      if (body.length > 0) incoming.write(body);
      incoming.end(null);
    },
  };
}

const eventsOf = (seen: Seen): ClientEvents => ({
  onClientData(chunk) {
    seen.body += chunk.toString("latin1");
    seen.onData(chunk);
  },
  onClientEnd(trailers) {
    seen.trailers = trailers;
    seen.told.push("end");
  },
  onClientDrain: () => seen.onDrain(),
  onClientGone: (reason) => void seen.told.push(`gone: ${reason}`),
  onClientFault: (status) => void seen.told.push(`fault ${status}`),
});

export interface RawClient {
  socket: Socket;
  send(text: string): void;
  received(): string;
  /** The server has closed its side. */
  ended(): boolean;
  closed(): boolean;
  /** The connection was reset. */
  reset(): boolean;
}

export function client(port: number, text = "", allowHalfOpen = false): RawClient {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen });
  let received = "";
  let [ended, closed, reset] = [false, false, false];
  socket.on("data", (chunk) => {
    received += chunk.toString("latin1");
  });
  socket.on("end", () => {
    ended = true;
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    reset = error.code === "ECONNRESET" || error.code === "EPIPE";
  });
  socket.on("close", () => {
    closed = true;
  });
  const send = (more: string) => void socket.write(Buffer.from(more, "latin1"));
  if (text !== "") send(text);
  onTestFinished(() => void socket.destroy());
  return {
    socket,
    send,
    received: () => received,
    ended: () => ended,
    closed: () => closed,
    reset: () => reset,
  };
}

/** Waits for a condition, with a bound. */
export async function eventually(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`did not happen within ${WAIT_MS} ms: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Waits until a growing number has stopped growing: the same over many turns of the event loop. */
export async function settled(value: () => number): Promise<number> {
  let last = -1;
  let same = 0;
  await eventually(() => {
    same = value() === last ? same + 1 : 0;
    last = value();
    return same > 300 && last > 0;
  }, "a number that stops growing");
  return last;
}

/** An answer of that length, dated so that its text is known. */
export const headOf = (bodyLength: number, changes: Partial<ResponseHead> = {}): ResponseHead => ({
  status: 200,
  reason: "",
  fields: ["date", "date", "D"],
  bodyLength,
  tunnel: false,
  ...changes,
});

export const get = (path = "/", ...lines: string[]): string =>
  [`GET ${path} HTTP/1.1`, "Host: h", ...lines, "", ""].join("\r\n");
export const post = (...lines: string[]): string =>
  ["POST / HTTP/1.1", "Host: h", ...lines, "", ""].join("\r\n");
export const chunkedPost = post("Transfer-Encoding: chunked");
export const bytes = (text: string): Buffer => Buffer.from(text, "latin1");

/** A server with one request on it that waits for its answer. */
export async function asked(text = get(), options: ServerOptions = {}) {
  const server = await startHttp1(options);
  const raw = client(server.port, text);
  await eventually(() => server.requests.length === 1, "the request");
  const seen = server.requests[0] as Seen;
  return { ...server, ...raw, seen, incoming: seen.incoming };
}

/** The clock of the deadlines is the test's. To be called before any connection is open. */
export function stopClock(): void {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  onTestFinished(() => void vi.useRealTimers());
}
