// Listeners of tcp and tls: what is accepted, is asked what it must say first (PROXY protocol, ClientHello, TLS
// handshake), finds its route, and becomes a stream.
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Listener } from "@evenkeel/core/config/resolve.ts";
import type { ListenerTls } from "@evenkeel/core/config/resolve-listeners.ts";
import type { Bind, Bound } from "../listeners/bind.ts";
import type { Opener, OpenServer } from "../listeners/opened.ts";
import type { TlsContexts } from "../listeners/tls-contexts.ts";
import { plainAddress, type Trust, trustPeers } from "../proxy/forwarding.ts";
import { parseClientHello } from "./client-hello.ts";
import { readGreeting } from "./greeting.ts";
import { IdleList } from "./idle-list.ts";
import { type AddressAndPort, acceptProxyHeader, type ProxySource } from "./proxy-protocol.ts";
import type { StreamResult } from "./report.ts";
import { reset } from "./sides.ts";
import { type Accepted, KEEP_ALIVE_MS, Stream, type StreamListener } from "./stream.ts";
import { arrivalOf, type StreamSurroundings } from "./surroundings.ts";

const NOTHING = Buffer.alloc(0);

export interface TcpOptions {
  around: StreamSurroundings;
  bind: Bind;
  /** For tcp listeners with `tls`: TLS ends here. Rejects where its files cannot be used. */
  openTls: (listener: Listener, tls: ListenerTls) => Promise<TlsContexts>;
}

/** Bytes have no name in ALPN. */
const NO_PROTOCOLS: readonly string[] = [];

export const createTcpOpener =
  (options: TcpOptions): Opener =>
  async (listener, port) => {
    const tls = listener.tls === null ? null : await options.openTls(listener, listener.tls);
    const server = new TcpServer(options, listener, tls);
    try {
      await server.listen(options.bind, port);
    } catch (error) {
      tls?.close();
      throw error;
    }
    return server;
  };

/** A connection before it is a stream. */
interface Arriving {
  socket: Socket;
  sinceMs: number;
  peer: AddressAndPort;
  local: AddressAndPort;
}

class TcpServer implements OpenServer, StreamListener {
  readonly #around: StreamSurroundings;
  readonly #openTls: TcpOptions["openTls"];
  readonly #server: Server;
  /** All that are open, by their bare connection; null: not yet a stream. */
  readonly #open = new Map<Socket, Stream | null>();
  readonly #perAddress = new Map<string, number>();
  readonly idle: IdleList<Stream>;
  #listener: Listener;
  #trust: Trust;
  #tls: TlsContexts | null;
  #deadline: NodeJS.Timeout | undefined;
  #bound: Bound | null = null;
  /** Null: not closing. */
  #closed: Promise<void> | null = null;
  #onEmpty: (() => void) | null = null;
  name: string;
  series: StreamListener["series"];

  constructor({ around, openTls }: TcpOptions, listener: Listener, tls: TlsContexts | null) {
    this.#around = around;
    this.#openTls = openTls;
    this.#listener = listener;
    this.#tls = tls;
    this.name = listener.name;
    this.series = around.report.series(listener.name);
    this.idle = new IdleList(around.clock, listener.streams.idleMs);
    this.#trust = trustPeers(listener.proxyProtocol?.trusted ?? []);
    const options = {
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      pauseOnConnect: true,
    };
    this.#server = createServer(options, (socket) => this.#onConnection(socket));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async listen(bind: Bind, port: number): Promise<void> {
    this.#bound = await bind(this.#server, this.#listener, port);
    this.#server.on("error", ignore); // of one accept: the next may succeed
  }

  async update(listener: Listener): Promise<void> {
    const { name, tls } = listener;
    if (tls === null) {
      this.#tls?.close();
      this.#tls = null;
    } else if (this.#tls === null) {
      this.#tls = await this.#openTls(listener, tls);
    } else {
      await this.#tls.update({ name, tls, protocols: NO_PROTOCOLS });
    }
    this.#listener = listener;
    this.#trust = trustPeers(listener.proxyProtocol?.trusted ?? []);
    this.idle.idleMs = listener.streams.idleMs;
    if (this.name === listener.name) return;
    this.name = listener.name;
    this.series = this.#around.report.series(listener.name);
    this.#reportOpen();
  }

  /** There is no answer after which a stream could be asked to end. */
  setClosing(): void {}

  close(deadlineMs: number): Promise<void> {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#cut(), deadlineMs);
    if (this.#closed !== null) return this.#closed;
    this.#closed = new Promise((resolve) => {
      this.#onEmpty = () => {
        clearTimeout(this.#deadline);
        this.#tls?.close();
        resolve();
      };
      this.#bound?.release();
      this.#server.close();
      if (this.#open.size === 0) this.#onEmpty();
    });
    return this.#closed;
  }

  #cut(): void {
    for (const [socket, stream] of this.#open) {
      if (stream === null) reset(socket, socket);
      else stream.cut();
    }
  }

  #onConnection(socket: Socket): void {
    const { remoteAddress, remotePort, localAddress, localPort } = socket;
    if (remoteAddress === undefined) {
      socket.destroy(); // gone before it was looked at
      return;
    }
    socket.on("error", ignore);
    const arriving: Arriving = {
      socket,
      sinceMs: this.#around.clock(),
      peer: { address: plainAddress(remoteAddress), port: remotePort ?? 0 },
      local: { address: plainAddress(localAddress ?? ""), port: localPort ?? 0 },
    };
    if (this.#open.size >= this.#listener.streams.maxConnections) {
      this.#refuse(arriving, "listener-full");
      return;
    }
    this.#open.set(socket, null);
    this.#reportOpen();
    socket.once("close", () => this.#onGone(socket));
    const { proxyProtocol } = this.#listener;
    if (proxyProtocol === null || !this.#trust(arriving.peer.address)) {
      this.#admit(arriving, null, NOTHING);
      return;
    }
    acceptProxyHeader(
      socket,
      proxyProtocol,
      (source, rest) => this.#admit(arriving, source, rest),
      (reason) => this.#refuse(arriving, "proxy-header", reason),
    );
  }

  #onGone(socket: Socket): void {
    this.#open.delete(socket);
    this.#reportOpen();
    if (this.#open.size === 0) this.#onEmpty?.();
  }

  #reportOpen(): void {
    this.#around.report.open(this.name, "tcp", this.#open.size);
  }

  /** @param told what the PROXY protocol says of it @param rest what was read beyond that */
  #admit(arriving: Arriving, told: ProxySource | null, rest: Buffer): void {
    const { socket, sinceMs, peer, local } = arriving;
    const source = told ?? peer;
    if (!this.#countAddress(socket, source.address)) {
      this.#refuse(arriving, "address-full");
      return;
    }
    const accepted = { socket, transport: socket, source, destination: told?.destination ?? local, sinceMs };
    const { protocol, streams } = this.#listener;
    if (this.#tls !== null) {
      this.#endTls({ ...accepted, head: null }, rest, this.#tls);
    } else if (protocol === "tls") {
      readGreeting(
        socket,
        { timeoutMs: streams.helloTimeoutMs, what: "TLS ClientHello", first: rest },
        parseClientHello,
        ({ servername }, bytes) => this.#serve({ ...accepted, head: bytes }, servername),
        (reason) => this.#refuse({ ...arriving, peer: source }, "client-hello", reason),
      );
    } else {
      this.#serve({ ...accepted, head: rest.length > 0 ? rest : null }, null);
    }
  }

  #countAddress(socket: Socket, address: string): boolean {
    const { maxConnectionsPerAddress } = this.#listener.streams;
    const open = this.#perAddress.get(address) ?? 0;
    if (maxConnectionsPerAddress !== null && open >= maxConnectionsPerAddress) return false;
    this.#perAddress.set(address, open + 1);
    socket.once("close", () => {
      const left = (this.#perAddress.get(address) ?? 1) - 1;
      if (left === 0) this.#perAddress.delete(address);
      else this.#perAddress.set(address, left);
    });
    return true;
  }

  #endTls(accepted: Accepted, rest: Buffer, tls: TlsContexts): void {
    const { transport, source, destination } = accepted;
    if (rest.length > 0) transport.unshift(rest); // TLS reads first what is there already
    const arriving = { ...accepted, socket: transport, peer: source, local: destination };
    const onClose = () => this.#refuse(arriving, "tls", "the TLS handshake failed");
    transport.once("close", onClose);
    tls.handshake(transport, (secured, { servername }) => {
      transport.off("close", onClose);
      secured.pause();
      this.#serve({ ...accepted, socket: secured }, servername?.toLowerCase() ?? null);
    });
  }

  #serve(accepted: Accepted, sni: string | null): void {
    const { around, refused } = { around: this.#around, refused: accepted.transport };
    const { address } = accepted.source;
    const arriving = { ...accepted, socket: refused, peer: accepted.source, local: accepted.destination };
    const route = around.route(this.name, sni, address);
    if (route === null) {
      this.#refuse(arriving, "no-route", sni === null ? "" : `server name ${sni}`);
      return;
    }
    if (!around.allowed(route, address)) {
      this.#refuse(arriving, "denied", `route ${route.name}`);
      return;
    }
    const destination = around.destination(
      route,
      arrivalOf(this.name, address, accepted.destination.port, sni),
    );
    if (destination === null) {
      this.#refuse(arriving, "no-route", `route ${route.name} leads to no pool`);
      return;
    }
    const stream = new Stream(around, this, accepted, route, destination);
    this.#open.set(accepted.transport, stream);
    stream.begin();
  }

  #refuse({ socket, sinceMs, peer }: Arriving, result: StreamResult, reason = ""): void {
    reset(socket, socket);
    this.#around.report.finished({
      listener: this.name,
      client: peer.address,
      ...{ route: null, pool: null, backend: null },
      ...{ bytesIn: 0, bytesOut: 0, connectMs: null, attempts: 0 },
      durationMs: this.#around.clock() - sinceMs,
      result,
      reason,
    });
  }
}

const ignore = (): void => {};
