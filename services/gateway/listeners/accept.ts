// What happens to a connection before it speaks HTTP: accepted within the bounds of its listener, asked for the PROXY
// protocol and TLS where they are wanted, and told apart by what it sends first. Nothing it does ends the process.
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { HttpLimits } from "@evenkeel/core/config/resolve-listeners.ts";
import type { ProxyProtocol } from "@evenkeel/core/config/resolve-streams.ts";
import type { ClientTls } from "../messages/incoming.ts";
import type { ClientAddress } from "../messages/outgoing.ts";
import { plainAddress, type Trust } from "../proxy/forwarding.ts";
import type { Bind, Bound, SocketAddress } from "./bind.ts";
import type { TlsContexts } from "./tls-contexts.ts";

/** HTTP/2 by prior knowledge begins with this (RFC 9113, 3.4); its first letter alone could still be a POST. */
const PREFACE = Buffer.from("PRI * HTTP/2.0", "latin1");

/** Why a connection was closed before it could ask for anything; few enough to be labels of a metric. */
export type Dropped = "listener-full" | "address-full" | "proxy-header" | "exhausted";

/** Reads the header of the PROXY protocol: part of l4/, which knows what it looks like. */
export type AcceptProxyHeader = (
  socket: Socket,
  bounds: { timeoutMs: number },
  done: (source: ClientAddress | null, rest: Buffer) => void,
  fail: (reason: string) => void,
) => void;

/** As it is now: what a connection meets is what was configured last. */
export interface AcceptSettings {
  limits: HttpLimits;
  http2: boolean;
  proxyProtocol: ProxyProtocol | null;
  trust: Trust;
  tls: TlsContexts | null;
}

export interface Ready {
  socket: Socket;
  version: "1" | "2";
  client: ClientAddress;
  tls: ClientTls | null;
  /** Bytes that were read already. */
  first: Buffer | null;
}

export interface AcceptOptions {
  bind: Bind;
  settings: () => AcceptSettings;
  acceptProxyHeader: AcceptProxyHeader;
  onDropped: (why: Dropped) => void;
  /** @param bare the connection as it was accepted */
  onReady: (bare: Socket, ready: Ready) => void;
  onGone: (bare: Socket) => void;
}

export interface Acceptor {
  readonly port: number;
  /** All that are open, also those that are not ready yet. */
  readonly open: ReadonlySet<Socket>;
  /** Takes over limits that the system keeps. */
  refresh(): void;
  /** Accepts no more. Resolves when the last connection is gone. */
  close(): Promise<void>;
}

/** Rejects with what the system says. */
export async function openAcceptor(
  at: SocketAddress,
  port: number,
  options: AcceptOptions,
): Promise<Acceptor> {
  const acceptor = new SocketAcceptor(options);
  await acceptor.listen(at, port);
  return acceptor;
}

class SocketAcceptor implements Acceptor {
  readonly #options: AcceptOptions;
  readonly #server: Server;
  readonly #perAddress = new Map<string, number>();
  readonly open = new Set<Socket>();
  #bound: Bound | null = null;
  #onEmpty: (() => void) | null = null;
  port = 0;

  constructor(options: AcceptOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#onConnection(socket),
    );
    this.#server.on("drop", () => options.onDropped("listener-full"));
    this.refresh();
  }

  async listen(at: SocketAddress, port: number): Promise<void> {
    const server = this.#server;
    this.#bound = await this.#options.bind(server, at, port);
    this.port = (server.address() as AddressInfo).port;
    // Of one accept; the next may succeed. Without file descriptors libuv closes what comes, and says nothing.
    server.on("error", () => this.#options.onDropped("exhausted"));
  }

  refresh(): void {
    this.#server.maxConnections = this.#options.settings().limits.connections;
  }

  close(): Promise<void> {
    this.#bound?.release();
    this.#server.close();
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
      if (this.open.size === 0) resolve();
    });
  }

  #onConnection(socket: Socket): void {
    this.open.add(socket);
    socket.on("error", ignore);
    socket.on("close", () => {
      this.open.delete(socket);
      this.#options.onGone(socket);
      if (this.open.size === 0) this.#onEmpty?.();
    });
    const client = addressOf(socket);
    if (client === null) {
      socket.destroy();
      return;
    }
    const settings = this.#options.settings();
    if (this.open.size > settings.limits.connections) {
      this.#drop(socket, "listener-full");
      return;
    }
    const { proxyProtocol } = settings;
    if (proxyProtocol === null || !settings.trust(client.address)) {
      this.#admit(socket, client, null, settings);
      return;
    }
    this.#options.acceptProxyHeader(
      socket,
      proxyProtocol,
      (source, rest) => this.#admit(socket, source ?? client, rest.length > 0 ? rest : null, settings),
      () => this.#drop(socket, "proxy-header"),
    );
  }

  #drop(socket: Socket, why: Dropped): void {
    this.#options.onDropped(why);
    socket.destroy();
  }

  /** @param rest what was read beyond the header of the PROXY protocol */
  #admit(socket: Socket, client: ClientAddress, rest: Buffer | null, settings: AcceptSettings): void {
    if (socket.destroyed) return;
    const { limits, tls, http2 } = settings;
    const { connectionsPerAddress: most } = limits;
    if (most !== null && !this.#count(socket, client.address, most)) {
      this.#drop(socket, "address-full");
      return;
    }
    if (tls !== null) {
      if (rest !== null) socket.unshift(rest); // read first by the handshake
      tls.handshake(socket, (secured, clientTls) => {
        const version = secured.alpnProtocol === "h2" ? "2" : "1";
        this.#options.onReady(socket, { socket: secured, version, client, tls: clientTls, first: null });
      });
      return;
    }
    const ready = (version: "1" | "2", first: Buffer | null) =>
      this.#options.onReady(socket, { socket, version, client, tls: null, first });
    if (http2) tellVersion(socket, rest, limits, ready);
    else ready("1", rest);
  }

  #count(socket: Socket, peer: string, most: number): boolean {
    const open = this.#perAddress.get(peer) ?? 0;
    if (open >= most) return false;
    this.#perAddress.set(peer, open + 1);
    socket.on("close", () => {
      const left = (this.#perAddress.get(peer) ?? 1) - 1;
      if (left === 0) this.#perAddress.delete(peer);
      else this.#perAddress.set(peer, left);
    });
    return true;
  }
}

function ignore(): void {}

/** Of the peer; null: it has gone, though what it had sent could still be read. */
function addressOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): ClientAddress | null {
  if (remoteAddress === undefined) return null;
  const destination = { address: plainAddress(localAddress ?? ""), port: localPort ?? 0 };
  return { address: plainAddress(remoteAddress), port: remotePort ?? 0, destination };
}

/** By the first bytes; a connection that sends none in time, or only the beginning of them, is closed. */
function tellVersion(
  socket: Socket,
  read: Buffer | null,
  { keepAliveMs, headersTimeoutMs }: HttpLimits,
  ready: (version: "1" | "2", first: Buffer) => void,
): void {
  let first = read;
  const late = () => socket.destroy();
  let timer = setTimeout(late, first === null ? keepAliveMs : headersTimeoutMs).unref();
  const stop = () => {
    clearTimeout(timer);
    socket.off("data", onData).off("end", late).off("close", stop);
  };
  const decide = (bytes: Buffer): boolean => {
    const shared = Math.min(bytes.length, PREFACE.length);
    const like = bytes.compare(PREFACE, 0, shared, 0, shared) === 0;
    if (like && shared < PREFACE.length) return false;
    stop();
    if (like) socket.pause(); // what is put back must wait for its reader
    ready(like ? "2" : "1", bytes);
    return true;
  };
  const onData = (chunk: Buffer) => {
    const begins = first === null;
    first = first === null ? chunk : Buffer.concat([first, chunk]);
    if (decide(first) || !begins) return;
    clearTimeout(timer);
    timer = setTimeout(late, headersTimeoutMs).unref();
  };
  if (first !== null && decide(first)) return;
  socket.on("data", onData).on("end", late).on("close", stop).resume();
}
