// One HTTP/2 connection to a backend: from connecting to closed, with the requests it carries.
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import type { Socket } from "node:net";
import type { Fault, OutgoingRequest } from "../messages/outgoing.ts";
import type { Connector } from "./connect.ts";
import { connectFault, detailOf } from "./faults.ts";
import { type Sweep, Wait, type Waiting } from "./sweep.ts";

/** What a backend may send ahead of our reading, in bytes: of one answer, and of all together. */
const STREAM_WINDOW_BYTES = 1024 * 1024;
const SESSION_WINDOW_BYTES = 8 * 1024 * 1024;
/** Largest header section of an answer, in bytes. */
const MAX_HEAD_BYTES = 64 * 1024;
/** Fields of a header section. */
const MAX_FIELDS = 1_000;
/** What Node may hold for a session, in MB: past it, it refuses streams. Above all windows together. */
const SESSION_MEMORY_MB = 64;
/** Requests on a connection whose backend has not said yet how many it takes: what RFC 9113 asks it to take at least. */
const STREAMS_UNTOLD = 100;
/** Requests that a connection carries in its life: HTTP/2 has 2^30 numbers for them. Another one is opened then. */
const MAX_STREAMS = 1_000_000_000;
/** With requests open, the backend is asked this often whether it is there, and must answer before the next time. ms */
const PING_MS = 15_000;

/** A request on its way, and its answer. */
export interface Carried {
  readonly request: OutgoingRequest;
  /** Carries it, or will once it is there. */
  session: Http2Session | null;
  /** The connection is there, and it is known what the backend can do. */
  start(session: Http2Session): void;
  onSessionClosed(fault: Fault): void;
  onSweep(nowMs: number): void;
  fail(fault: Fault, detail: string): void;
}

/** Whoever shares sessions out. */
export interface SessionOwner {
  readonly connector: Connector;
  readonly sweep: Sweep;
  /** For a request that this session has no room for after all. */
  carry(request: Carried): void;
  onSessionClosed(session: Http2Session): void;
}

export class Http2Session implements Waiting {
  readonly session: ClientHttp2Session;
  /** Has carried a request to its end, or failed to. */
  reused = false;
  readonly #owner: SessionOwner;
  readonly #requests = new Set<Carried>();
  #carried = 0;
  /** Connected, and the backend has said what it can do: before, it may refuse more than it wants. */
  #ready = false;
  #handshaking = false;
  /** No new requests: the backend goes away, or nobody needs it. */
  #leaving = false;
  #closed = false;
  /** Streams above were not processed; Infinity: nothing was said. */
  #lastStream = Number.POSITIVE_INFINITY;
  readonly #wait = new Wait();
  readonly #pingWait = new Wait();
  #pinged = false;

  constructor(owner: SessionOwner) {
    this.#owner = owner;
    const { connector } = owner;
    const { tls, scheme, host } = connector.settings;
    const socket: Socket = tls === null ? connector.plain() : connector.secure(tls, null);
    socket.on("connect", () => {
      this.#handshaking = tls !== null;
    });
    const authority = `${scheme}://${host.includes(":") ? `[${host}]` : host}`;
    this.session = connectHttp2(authority, {
      createConnection: () => socket,
      maxReservedRemoteStreams: 0,
      maxHeaderListPairs: MAX_FIELDS,
      maxSessionMemory: SESSION_MEMORY_MB,
      settings: {
        enablePush: false,
        initialWindowSize: STREAM_WINDOW_BYTES,
        maxHeaderListSize: MAX_HEAD_BYTES,
      },
    });
    this.session.on("connect", () => this.#onConnect());
    this.session.on("remoteSettings", () => this.#onSettings());
    this.session.on("goaway", (_code, lastStream) => {
      this.#leaving = true;
      this.#lastStream = lastStream;
    });
    this.session.on("error", (error) => this.#onError(error));
    this.session.on("close", () => this.#onClose());
    owner.sweep.add(this);
  }

  /** Whether one more request may go over it. */
  get open(): boolean {
    return !this.#leaving && this.usable && this.#requests.size < this.#most;
  }

  /** Whether Node takes requests for it: not any more between its last moment and the word of that. */
  get usable(): boolean {
    return !this.#closed && !this.session.closed && !this.session.destroyed;
  }

  /** Requests at once; one at least, or every request would open another connection. */
  get #most(): number {
    if (!this.#ready) return STREAMS_UNTOLD;
    return Math.max(1, this.session.remoteSettings.maxConcurrentStreams ?? STREAMS_UNTOLD);
  }

  wasProcessed(stream: number): boolean {
    return stream <= this.#lastStream;
  }

  carry(request: Carried): void {
    this.#carried += 1;
    if (this.#carried >= MAX_STREAMS) this.#leaving = true;
    this.#requests.add(request);
    request.session = this;
    if (this.#ready) request.start(this);
  }

  onRequestOver(request: Carried): void {
    this.#requests.delete(request);
    this.reused = true;
    if (this.#requests.size > 0) return;
    this.#wait.begin();
    // Not at once: frames may be being read, and streams that wait for their last ones must not be destroyed then.
    if (this.#leaving) setImmediate(destroyNow, this);
  }

  #onConnect(): void {
    const { tls } = this.#owner.connector.settings;
    if (tls !== null && this.session.alpnProtocol !== "h2") {
      this.#give("tls", "the backend does not agree to HTTP/2");
      return;
    }
    this.session.setLocalWindowSize(SESSION_WINDOW_BYTES);
  }

  #onSettings(): void {
    if (this.#ready || this.#closed) return;
    this.#ready = true;
    let room = this.#most;
    for (const request of [...this.#requests]) {
      room -= 1;
      if (room >= 0) {
        request.start(this);
      } else {
        this.#requests.delete(request);
        this.#owner.carry(request);
      }
    }
    this.#wait.begin();
  }

  /** Requests end, then it closes. */
  leave(): void {
    this.#leaving = true;
    if (this.#requests.size === 0) this.destroy();
  }

  destroy(): void {
    this.session.destroy();
    this.#onClose();
  }

  onSweep(nowMs: number): void {
    const { connectTimeoutMs, idleConnectionMs } = this.#owner.connector.settings;
    if (!this.#ready) {
      if (this.#wait.age(nowMs) < connectTimeoutMs) return;
      this.#give("connect-timeout", `not within ${connectTimeoutMs} ms`);
    } else if (this.#requests.size === 0) {
      if (this.#wait.age(nowMs) >= idleConnectionMs) this.destroy();
    } else {
      for (const request of this.#requests) request.onSweep(nowMs);
      this.#keepAlive(nowMs);
    }
  }

  #keepAlive(nowMs: number): void {
    if (this.#pingWait.age(nowMs) < PING_MS || this.#closed) return;
    this.#pingWait.begin();
    if (this.#pinged) {
      this.#give("broken", "the backend does not answer a ping");
      return;
    }
    this.#pinged = true;
    this.session.ping((error) => {
      if (error === null) this.#pinged = false;
      // Node writes and reads no more after a fault of the peer, and does not say so.
      else if (!this.session.destroyed) this.#give("broken", "the connection takes no ping any more");
    });
  }

  #onError(error: Error): void {
    if (!this.#ready) this.#give(connectFault(error, this.#handshaking), detailOf(error));
  }

  /** Gives the connection up. */
  #give(fault: Fault, detail: string): void {
    this.#leaving = true;
    for (const request of this.#requests) request.fail(fault, detail);
    this.destroy();
  }

  #onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#leaving = true;
    this.#owner.sweep.delete(this);
    this.#owner.onSessionClosed(this);
    for (const request of this.#requests) request.onSessionClosed(this.#ready ? "broken" : "unreachable");
  }
}

const destroyNow = (session: Http2Session): void => session.destroy();
