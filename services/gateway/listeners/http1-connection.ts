// One client's HTTP/1 connection. Its requests are served one at a time, in the order they came (RFC 9112, 9.3.2): the
// next is read only when the answer and the body of the one before it are through, so that what happens to one cannot
// happen to another, and one connection cannot take all capacity.
import type { Socket } from "node:net";
import { BodyReader, type BodySink } from "../http1/body.ts";
import { readRequestHead } from "../http1/head.ts";
import { INCOMPLETE, SectionReader, TOO_LARGE } from "../http1/section.ts";
import { refusalText } from "../http1/write.ts";
import type { ClientConnection } from "../messages/incoming.ts";
import type { HttpConnection, HttpServing } from "./http-connection.ts";
import { Exchange, type Turn } from "./http1-exchange.ts";
import { Input } from "./http1-input.ts";
import { type Timed, tickAfter, unwatch, watch } from "./sweep.ts";

/** Empty lines that are passed over before a request (RFC 9112, 2.2). */
const EMPTY_LINES = 4;
/** Bytes of a body nobody wants any more that are read and dropped so that the connection can go on. */
const DROPPED_BYTES = 16 * 1024 * 1024;
/** Longest that this goes on after the answer, also where the connection is then closed. */
const DROPPING_MS = 5_000;
/** For a client to read the last answer and close: closing on what it still sends would take the answer from it. */
const LINGER_MS = 2_000;
/**
 * A client that has closed its side may be gone, or wait for the answer: any byte written to one that is gone comes
 * back as a reset, but before the answer there is none. So long it may take before, and between, its parts.
 */
const HALF_CLOSED_MS = 250;

/** Waiting for the header section of a request. */
const HEAD = 0;
/** A request is served. */
const SERVING = 1;
/** It was answered before its end; the rest is dropped. */
const DROPPING = 2;
const TUNNEL = 3;
/** The last answer is on its way out; whatever comes is dropped. */
const CLOSING = 4;
const CLOSED = 5;

/**
 * @param socket with `allowHalfOpen` and `noDelay`
 * @param first bytes that were read of it before; null: none
 */
export const serveHttp1 = (
  socket: Socket,
  connection: ClientConnection,
  serving: HttpServing,
  first: Buffer | null,
): HttpConnection => new Http1Connection(socket, connection, serving, first);

class Http1Connection implements HttpConnection, Turn, BodySink, Timed {
  readonly socket: Socket;
  readonly connection: ClientConnection;
  deadline = 0;
  readonly #serving: HttpServing;
  readonly #heads: SectionReader;
  readonly #body = new BodyReader();
  #state = HEAD;
  /** Null while none is served. */
  #exchange: Exchange | null = null;
  readonly #input: Input;
  #advancing = false;
  #advanceDue = false;
  readonly #advanceLater = () => {
    this.#advanceDue = false;
    this.#advance();
  };
  /** The deadline of a header section runs. */
  #headTimed = false;
  #clientEnded = false;
  #ending = false;
  #dropped = 0;
  #bytesWritten = 0;
  #goneReason = "the client closed the connection";

  constructor(socket: Socket, connection: ClientConnection, serving: HttpServing, first: Buffer | null) {
    this.socket = socket;
    this.connection = connection;
    this.#serving = serving;
    this.#input = new Input(socket);
    this.#heads = new SectionReader(serving.limits.headerBytes, EMPTY_LINES);
    this.deadline = tickAfter(serving.limits.keepAliveMs);
    watch(this);
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("end", () => this.#onEnd());
    socket.on("drain", () => this.#onDrain());
    socket.on("finish", () => this.#onFinish());
    socket.on("timeout", () => this.#gone("the client has read nothing for too long"));
    socket.on("error", (error) => {
      this.#goneReason = error.message;
    });
    socket.on("close", () => this.#onClose());
    if (first !== null && first.length > 0) {
      this.#input.add(first);
      this.#schedule();
    }
    socket.resume();
  }

  endWhenAnswered(): void {
    this.#ending = true;
    if (this.#state === HEAD && !this.#heads.started && this.#input.empty) this.#closeSoon();
  }

  destroy(): void {
    this.cut("the listener has closed the connection");
  }

  cut(reason: string): void {
    const { socket } = this;
    this.#goneReason = reason;
    this.#state = CLOSED;
    this.#input.clear();
    if (this.connection.tls === null && !socket.destroyed) socket.resetAndDestroy();
    else socket.destroy();
  }

  mayGoOn(exchange: Exchange): boolean {
    if (this.#ending || this.connection.endpoint.closing) return false;
    if (this.#input.empty && (this.#clientEnded || exchange.expectsContinue)) return false; // nothing may ever come
    return !this.#body.needsMoreThan(DROPPED_BYTES);
  }

  onRead(): void {
    this.#waitForClient();
    if (!this.#input.empty || this.#clientEnded || this.#body.done) this.#schedule();
    else this.#input.flow();
  }

  onPauseReading(): void {
    this.#waitForNobody();
  }

  onStalled(): void {
    this.socket.setTimeout(this.#serving.limits.clientIdleMs);
  }

  onTunnel(): void {
    this.#state = TUNNEL;
    this.deadline = 0;
    if (!this.#input.empty || this.#clientEnded) this.#schedule();
  }

  onAnswered(exchange: Exchange, keepAlive: boolean): void {
    if (this.#exchange !== exchange || this.#state !== SERVING) return;
    this.#exchange = null;
    if (!keepAlive || this.connection.endpoint.closing) this.#closeSoon();
    else if (this.#body.done) this.#awaitHead();
    else {
      this.#state = DROPPING;
      this.#dropped = 0;
      this.deadline = tickAfter(DROPPING_MS);
    }
    if (!this.#input.empty || this.#clientEnded) this.#schedule();
  }

  onTunnelEnd(exchange: Exchange): void {
    this.socket.end();
    if (this.socket.writableLength > 0) this.onStalled();
    if (exchange.inputOver) exchange.finish();
    else this.#waitForClient();
  }

  onBody(chunk: Buffer): boolean {
    const exchange = this.#exchange;
    if (exchange === null) {
      this.#dropped += chunk.length;
      return true;
    }
    exchange.receive(chunk);
    return exchange.reading && this.#exchange === exchange;
  }

  onDeadline(): void {
    if (this.#state === HEAD) {
      if (this.#heads.started) this.#refuse(408, "the header section has not come in time");
      else this.#closeSoon();
    } else if (this.#state === DROPPING) this.#closeSoon();
    else if (this.#state === CLOSING) this.socket.destroy();
    else if (this.#state === TUNNEL) this.#gone("the client has sent nothing for too long");
    else if (this.#clientEnded) this.#onHalfClosed();
    else this.#exchange?.fault(408, "the body has not come in time");
  }

  #onData(chunk: Buffer): void {
    if (this.#state === CLOSING) {
      this.#dropped += chunk.length;
      if (this.#dropped > DROPPED_BYTES) this.socket.destroy();
    } else {
      this.#input.add(chunk);
      this.#advance();
    }
  }

  #onEnd(): void {
    this.#clientEnded = true;
    if (this.#state === SERVING && this.#body.done) this.#waitForNobody();
    this.#advance();
  }

  /** Silence since the client has closed its side, unless something was written: then that would have been reset. */
  #onHalfClosed(): void {
    const { bytesWritten, writableLength } = this.socket;
    if (bytesWritten === this.#bytesWritten && writableLength === 0) this.#gone(this.#goneReason);
    else this.#waitForNobody();
  }

  #onDrain(): void {
    this.socket.setTimeout(0);
    this.#exchange?.events.onClientDrain();
    this.#advance();
  }

  #onFinish(): void {
    this.socket.setTimeout(0);
    if (this.#state === CLOSING) this.deadline = tickAfter(this.#body.done ? LINGER_MS : DROPPING_MS);
  }

  #onClose(): void {
    unwatch(this);
    this.#state = CLOSED;
    this.#input.clear();
    this.deadline = 0;
    this.#gone(this.#goneReason);
  }

  /** Whoever serves the present request is told at once. */
  #gone(reason: string): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    if (exchange !== null && !exchange.over) {
      const { events } = exchange;
      exchange.finish();
      events.onClientGone(reason);
    }
    if (this.#state !== CLOSED) this.cut(reason);
  }

  /** It is our turn: the answer takes the time it takes, unless the client may have left. */
  #waitForNobody(): void {
    this.deadline = 0;
    if (!this.#clientEnded) return;
    this.#bytesWritten = this.socket.bytesWritten;
    this.deadline = tickAfter(HALF_CLOSED_MS);
  }

  #schedule(): void {
    if (this.#advancing || this.#advanceDue) return;
    this.#advanceDue = true;
    process.nextTick(this.#advanceLater);
  }

  /** Reads on as far as what has come is wanted. Never from within a call of whoever serves a request. */
  #advance(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    try {
      while (this.#step()) {}
    } finally {
      this.#advancing = false;
    }
    this.#input.flow();
  }

  /** @returns whether there may be more to do */
  #step(): boolean {
    switch (this.#state) {
      case HEAD:
        return this.#readHead();
      case SERVING:
        return this.#readBody();
      case DROPPING:
        return this.#dropBody();
      case TUNNEL:
        return this.#readTunnel();
      default:
        this.#input.clear();
        return false;
    }
  }

  #readHead(): boolean {
    if (this.#input.empty) {
      if (this.#clientEnded) this.#closeSoon();
      return false;
    }
    if (this.socket.writableNeedDrain) return false; // a client that does not read gets no further answers
    const next = this.#input.readSection(this.#heads);
    if (next >= 0) {
      this.#headTimed = false;
      return this.#begin();
    }
    if (next === TOO_LARGE) this.#refuse(431, "the header section is too large");
    else if (next !== INCOMPLETE) this.#refuse(400, "this is not a request of HTTP/1");
    else if (!this.#headTimed && this.#heads.started) {
      this.#headTimed = true;
      this.deadline = tickAfter(this.#serving.limits.headersTimeoutMs);
    }
    return this.#clientEnded;
  }

  #begin(): boolean {
    const { limits, handler } = this.#serving;
    const reading = readRequestHead(this.#heads.take(), limits);
    if ("status" in reading) {
      this.#refuse(reading.status, reading.text);
      return false;
    }
    this.#body.begin(reading.head.bodyLength, reading.chunked);
    this.#state = SERVING;
    this.#waitForNobody();
    const exchange = new Exchange(this, reading);
    this.#exchange = exchange;
    const events = handler(exchange);
    if (!exchange.over) exchange.events = events;
    return true;
  }

  #readBody(): boolean {
    const exchange = this.#exchange as Exchange;
    if (exchange.inputOver) return false;
    if (this.#clientEnded && this.#body.needsMoreThan(this.#input.length)) {
      this.#gone("the client closed the connection before the end of its request");
      return false;
    }
    if (!exchange.reading) return false;
    if (!this.#body.done) {
      if (this.#input.empty) return false;
      this.#waitForClient();
      this.#input.readBody(this.#body, this);
      if (this.#exchange !== exchange) return true;
      if (this.#body.fault !== null) {
        this.#input.clear();
        exchange.fault(400, this.#body.fault);
        return false;
      }
      if (!this.#body.done) return true;
    }
    exchange.inputOver = true;
    this.#waitForNobody();
    exchange.events.onClientEnd(this.#body.trailers);
    return true;
  }

  #dropBody(): boolean {
    this.#input.readBody(this.#body, this);
    if (this.#body.done) {
      this.#awaitHead();
      return true;
    }
    if (this.#body.fault !== null || this.#clientEnded || this.#dropped > DROPPED_BYTES) this.#closeSoon();
    return false;
  }

  #readTunnel(): boolean {
    const exchange = this.#exchange;
    if (exchange === null || !exchange.reading || exchange.inputOver) return false;
    const chunk = this.#input.take();
    if (chunk !== null) {
      this.#waitForClient();
      exchange.events.onClientData(chunk);
      return true;
    }
    if (!this.#clientEnded) return false;
    exchange.inputOver = true;
    exchange.events.onClientEnd(null);
    if (this.socket.writableEnded) exchange.finish();
    return false;
  }

  #awaitHead(): void {
    this.#state = HEAD;
    this.deadline = tickAfter(this.#serving.limits.keepAliveMs);
    if (this.#ending) this.#closeSoon();
  }

  /** Of a tunnel only the part after our end has to come in time: before it silence may be what both want. */
  #waitForClient(): void {
    const owed = this.#state === TUNNEL ? this.socket.writableEnded : !this.#body.done;
    if (owed) this.deadline = tickAfter(this.#serving.limits.clientIdleMs);
  }

  #refuse(status: number, text: string): void {
    this.#serving.onRefused(status);
    this.socket.write(refusalText(status, text), "latin1");
    this.#closeSoon();
  }

  /** Closes our side once all is out, and lets the client read it. */
  #closeSoon(): void {
    if (this.#state === CLOSING || this.#state === CLOSED) return;
    this.#state = CLOSING;
    this.#input.clear();
    this.#dropped = 0;
    this.deadline = 0;
    this.socket.end();
    if (this.socket.writableLength > 0) this.onStalled();
    this.#input.flow();
  }
}
