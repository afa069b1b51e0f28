// One HTTP/1.1 connection to a backend: from connecting to closed, with one request at a time.
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { BodyReader } from "../http1/body.ts";
import { SectionReader } from "../http1/section.ts";
import { proxyHeader } from "../l4/proxy-protocol.ts";
import type { ClientAddress, Fault } from "../messages/outgoing.ts";
import type { Connector } from "./connect.ts";
import { brokenFault, connectFault, detailOf } from "./faults.ts";
import { type Sweep, Wait, type Waiting } from "./sweep.ts";

/** Largest header section of an answer, in bytes. */
const MAX_HEAD_BYTES = 64 * 1024;
/** Longest idle time that a backend's Keep-Alive field can ask for, and how much earlier than it says we close. */
const IDLE_MAX_MS = 600_000;
const IDLE_MARGIN_MS = 2_000;

/** A request on its way, and its answer. */
export interface Carried {
  /** Of whom it is. */
  readonly client: ClientAddress | null;
  /** The connection is there. */
  start(connection: Http1Connection): void;
  receive(bytes: Buffer): void;
  onDrain(): void;
  /** The backend sends no more. */
  onEnd(): void;
  onSweep(nowMs: number): void;
  /** The connection has failed, or is given up. */
  fail(fault: Fault, detail: string): void;
}

/** Whoever shares connections out. */
export interface ConnectionOwner {
  readonly connector: Connector;
  readonly sweep: Sweep;
  /** It may carry another request. */
  onIdle(connection: Http1Connection): void;
  onClosed(connection: Http1Connection): void;
}

export class Http1Connection implements Waiting {
  readonly section = new SectionReader(MAX_HEAD_BYTES, 0);
  readonly body = new BodyReader();
  readonly secure: boolean;
  /** Has carried a request before the one at hand. */
  reused = false;
  socket: Socket;
  readonly #owner: ConnectionOwner;
  #request: Carried | null;
  #ready = false;
  #handshaking = false;
  /** For the connection, and later for a request. */
  readonly #wait = new Wait();
  #idleLimitMs = 0;
  #paused = false;
  #closed = false;

  /** Connects at once. @param request carried first */
  constructor(owner: ConnectionOwner, request: Carried) {
    this.#owner = owner;
    this.#request = request;
    const { connector } = owner;
    const { tls, sendProxyProtocol } = connector.settings;
    this.secure = tls !== null;
    if (tls === null) {
      this.socket = connector.plain();
      this.socket.on("data", (chunk: Buffer) => this.#onData(chunk));
      this.#watch(this.socket, "connect");
      this.socket.on("connect", () => this.#onReady());
    } else if (sendProxyProtocol === null) {
      this.socket = this.#useSecure(connector.secure(tls, null));
    } else {
      // The header stands before TLS, in plain text.
      const raw = connector.plain();
      this.socket = raw;
      this.#watch(raw, "connect");
      raw.on("connect", () => {
        raw.write(this.#proxyHeader());
        this.#handshaking = true;
        this.socket = this.#useSecure(connector.secure(tls, raw));
      });
    }
    owner.sweep.add(this);
  }

  #watch(socket: Socket, connected: "connect" | "secureConnect"): void {
    socket.on("end", () => this.#onEnd());
    socket.on("drain", () => this.#request?.onDrain());
    socket.on("error", (error) => this.#onError(error));
    socket.on("close", () => this.#onClose());
    if (connected === "secureConnect") socket.on("connect", () => this.#onHandshake());
  }

  #useSecure(socket: TLSSocket): TLSSocket {
    this.#watch(socket, "secureConnect");
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("secureConnect", () => this.#onReady());
    return socket;
  }

  #onHandshake(): void {
    this.#handshaking = true;
  }

  #onReady(): void {
    this.#ready = true;
    const { tls, sendProxyProtocol } = this.#owner.connector.settings;
    if (sendProxyProtocol === null || tls !== null) {
      this.#request?.start(this);
      return;
    }
    this.socket.cork();
    this.socket.write(this.#proxyHeader());
    this.#request?.start(this);
    this.socket.uncork();
  }

  #proxyHeader(): Buffer {
    const client = this.#request?.client ?? null;
    const version = this.#owner.connector.settings.sendProxyProtocol ?? "v2";
    return proxyHeader(version, client, client?.destination ?? null);
  }

  /** Only while idle. */
  carry(request: Carried): void {
    this.reused = true;
    this.#request = request;
    request.start(this);
  }

  /** How long it has been idle, in ms. */
  idleFor(nowMs: number): number {
    return this.#wait.age(nowMs);
  }

  /** The request is over and nothing is left of it here. @param hintMs how long the backend keeps it; null: it did not say */
  release(hintMs: number | null): void {
    const { connector } = this.#owner;
    const keepMs = hintMs === null ? connector.settings.idleConnectionMs : hintMs - IDLE_MARGIN_MS;
    this.#request = null;
    this.#idleLimitMs = Math.min(keepMs, IDLE_MAX_MS);
    if (this.#idleLimitMs <= 0 || this.#closed) {
      this.destroy();
      return;
    }
    this.resume();
    this.#wait.begin();
    this.#owner.onIdle(this);
  }

  /** What was written still goes out; then, or soon, it closes. */
  endSoon(): void {
    this.#request = null;
    this.#idleLimitMs = this.#owner.connector.settings.idleConnectionMs;
    this.#wait.begin();
    this.resume();
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.socket.resume();
  }

  /** At once. Its request hears nothing more. */
  destroy(): void {
    this.#request = null;
    this.socket.destroy();
    this.#onClose();
  }

  onSweep(nowMs: number): void {
    const request = this.#request;
    if (!this.#ready) {
      const { connectTimeoutMs } = this.#owner.connector.settings;
      if (this.#wait.age(nowMs) >= connectTimeoutMs)
        this.#fail("connect-timeout", `not within ${connectTimeoutMs} ms`);
    } else if (request !== null) {
      request.onSweep(nowMs);
    } else if (this.#wait.age(nowMs) >= this.#idleLimitMs) {
      this.destroy();
    }
  }

  #onData(chunk: Buffer): void {
    if (this.#request !== null) this.#request.receive(chunk);
    else this.destroy(); // nobody has asked
  }

  #onEnd(): void {
    if (this.#request === null && !this.socket.writableEnded) this.destroy();
    else this.#request?.onEnd();
  }

  #onError(error: Error): void {
    const fault = this.#ready ? brokenFault(error) : connectFault(error, this.#handshaking);
    this.#fail(fault, detailOf(error));
  }

  #onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#owner.sweep.delete(this);
    this.#owner.onClosed(this);
    this.#fail(this.#ready ? "broken" : "unreachable", "closed");
  }

  #fail(fault: Fault, detail: string): void {
    const request = this.#request;
    this.destroy();
    request?.fail(fault, detail);
  }
}
