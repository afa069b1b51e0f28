// For tests of connections to backends: backends on bare sockets, and a receiver that remembers what it was told.
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import { fileURLToPath } from "node:url";
import { type Pool, resolvePool } from "@evenkeel/core/config/resolve.ts";
import type { PoolDocument } from "@evenkeel/core/config/schema.ts";
import { afterEach } from "vitest";
import type { Fields } from "../../messages/fields.ts";
import type { ResponseHead } from "../../messages/message.ts";
import type { BackendEvents, Fault, Origin, Outgoing, OutgoingRequest } from "../../messages/outgoing.ts";
import { createOrigins, type Origins, SILENT } from "../origins.ts";

const WAIT_MS = 5_000;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

export const onCleanup = (cleanup: () => unknown): void => void cleanups.push(cleanup);

/** Waits for a condition, with a bound. */
export async function eventually(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + WAIT_MS;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`did not happen within ${WAIT_MS} ms: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export interface RawBackend {
  url: string;
  port: number;
  /** All that was ever accepted, in order. */
  sockets: Socket[];
  /** Of them, those that the other side has not closed. */
  open(): number;
}

/** A backend that gets the bare connection. */
export const startRaw = (handler: (socket: Socket, index: number) => void): Promise<RawBackend> =>
  listen((accept) => createServer({ allowHalfOpen: true }, accept), "http", handler);

export const startRawTls = (
  options: TlsOptions,
  handler: (socket: Socket, index: number) => void,
): Promise<RawBackend> =>
  listen((accept) => createTlsServer(options, accept).on("tlsClientError", () => {}), "https", handler);

async function listen(
  create: (accept: (socket: Socket) => void) => Server,
  scheme: string,
  handler: (socket: Socket, index: number) => void,
): Promise<RawBackend> {
  const sockets: Socket[] = [];
  const server = create((socket) => {
    socket.on("error", () => {});
    sockets.push(socket);
    handler(socket, sockets.length - 1);
  });
  const port = await listenOn(server);
  const open = () => sockets.filter((socket) => !socket.destroyed && !socket.readableEnded).length;
  return { url: `${scheme}://127.0.0.1:${port}`, port, sockets, open };
}

/** Until the end of the test. @returns the port */
export async function listenOn(server: Server): Promise<number> {
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onCleanup(() => {
    for (const socket of open) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

/** Calls back with the text of each whole header section that comes, as long as nothing else does. */
export function onHead(socket: Socket, handle: (head: string) => void): void {
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    for (let end = text.indexOf("\r\n\r\n"); end !== -1; end = text.indexOf("\r\n\r\n")) {
      const head = text.slice(0, end + 4);
      text = text.slice(end + 4);
      handle(head);
    }
  });
}

/** A backend that answers each header section with these bytes. */
export const answering = (answer: string): Promise<RawBackend> =>
  startRaw((socket) => onHead(socket, () => socket.write(answer, "latin1")));

export const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

export const poolOf = (url: string, more: Partial<PoolDocument> = {}): Pool =>
  resolvePool({ name: "p", backends: [{ id: "b1", url }], ...more });

export interface World {
  origins: Origins;
  origin: Origin;
  /** Moves the clock on. */
  pass(ms: number): void;
  /** Until all waits have been looked at since. Something must be waiting: a connection will do. */
  looked(): Promise<void>;
}

/** One pool "p" with one backend. */
export function worldOf(url: string, more: Partial<PoolDocument> = {}): World {
  let nowMs = 1_000_000;
  const startedMs = performance.now();
  let looks = 0;
  const clock = () => {
    looks += 1;
    return nowMs + performance.now() - startedMs;
  };
  const origins = createOrigins({ clock, watcher: SILENT });
  onCleanup(() => origins.close());
  const errors = origins.configure([poolOf(url, more)]);
  if (errors.length > 0) throw new Error(errors.join("\n"));
  const pass = (ms: number) => {
    nowMs += ms;
  };
  const looked = () => {
    const enough = looks + 2;
    return eventually(() => looks >= enough, "a look at the waits");
  };
  return { origins, origin: origins.get("p", poolOf(url).backends[0]?.url ?? ""), pass, looked };
}

export const requestOf = (more: Partial<OutgoingRequest> = {}): OutgoingRequest => ({
  method: "GET",
  target: "/",
  authority: "shop.example",
  scheme: "http",
  fields: [],
  body: null,
  bodyLength: more.body?.length ?? 0,
  upgrade: null,
  fresh: false,
  client: null,
  responseHeadersMs: 30_000,
  idleMs: 60_000,
  tunnelIdleMs: 3_600_000,
  ...more,
});

export class Receiver implements BackendEvents {
  /** What was told, in order. */
  readonly told: string[] = [];
  readonly interims: [number, Fields][] = [];
  readonly chunks: Buffer[] = [];
  head: ResponseHead | null = null;
  trailers: Fields | null = null;
  fault: Fault | null = null;
  detail = "";
  ended = false;
  outgoing: Outgoing | null = null;
  /** Called with each chunk. */
  onChunk: ((chunk: Buffer) => void) | null = null;

  get over(): boolean {
    return this.ended || this.fault !== null;
  }
  get text(): string {
    return Buffer.concat(this.chunks).toString("latin1");
  }
  onBackendReady(): void {
    this.#note("ready");
  }
  onBackendInterim(status: number, fields: Fields): void {
    this.interims.push([status, fields]);
    this.#note("interim");
  }
  onBackendHead(head: ResponseHead): void {
    this.head = head;
    this.#note("head");
  }
  onBackendData(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.#note("data");
    this.onChunk?.(chunk);
  }
  onBackendFlush(): void {
    this.#note("flush");
  }
  onBackendEnd(trailers: Fields | null): void {
    this.trailers = trailers;
    this.ended = true;
    this.#note("end");
  }
  onBackendDrain(): void {
    this.#note("drain");
  }
  onBackendError(fault: Fault, detail: string): void {
    this.fault = fault;
    this.detail = detail;
    this.#note(`error ${fault}`);
  }
  #note(what: string): void {
    this.told.push(what);
  }
}

/** Starts a request. */
export function start(origin: Origin, more: Partial<OutgoingRequest> = {}): Receiver {
  const receiver = new Receiver();
  receiver.outgoing = origin.send(requestOf(more), receiver);
  if (receiver.told.length > 0) throw new Error("told something before `send` has returned");
  return receiver;
}

/** One request to its end. */
export async function ask(origin: Origin, more: Partial<OutgoingRequest> = {}): Promise<Receiver> {
  const receiver = start(origin, more);
  await eventually(() => receiver.over, "the end of the request");
  return receiver;
}

export const certificate = (file: string): string =>
  fileURLToPath(new URL(`../../test-support/certificates/${file}`, import.meta.url));
