// One request on an HTTP/1.1 connection and its answer. Strict where an answer could be taken for whole that is not.
import type { Socket } from "node:net";
import type { BodySink } from "../http1/body.ts";
import { type ResponseReading, readResponseHead } from "../http1/head.ts";
import { NOT_HTTP, TOO_LARGE } from "../http1/section.ts";
import { chunkHead, lastChunk, requestHeadText, UnsendableError } from "../http1/write.ts";
import type { Fields } from "../messages/fields.ts";
import { handOn, lend, settleSent, takeBack } from "../messages/lending.ts";
import type { BackendEvents, ClientAddress, Fault, Outgoing, OutgoingRequest } from "../messages/outgoing.ts";
import type { Carried, Http1Connection } from "./http1-connection.ts";
import { writeWhole } from "./http1-whole.ts";
import { MAX_INTERIMS, STALE_WITHIN_MS } from "./limits.ts";
import { type Sweep, Wait } from "./sweep.ts";

/** In place of bytes still to be written: no more is written into a tunnel. */
const ENDED = -1;

type Phase = "head" | "body" | "tunnel" | "half-closed" | "over";

export interface RequestOwner {
  /** Whether connections may be used again. */
  readonly reusable: boolean;
  readonly sweep: Sweep;
  onRequestOver(): void;
}

export class Http1Request implements Outgoing, Carried, BodySink {
  sent = false;
  /** The connection that is being made for it. */
  connecting: Http1Connection | null = null;
  readonly #request: OutgoingRequest;
  readonly #owner: RequestOwner;
  readonly #events: BackendEvents;
  /** The header section; empty once it was written. */
  #text: string;
  #connection: Http1Connection | null = null;
  #phase: Phase = "head";
  /** Bytes of the body still to be written; Infinity: chunked. */
  #toSend: number;
  #corked = false;
  /** A part of an answer has come. */
  #answered = false;
  #reading: ResponseReading | null = null;
  /** It came before all of the request was sent: nobody knows whether the backend reads the rest. */
  #early = false;
  #interims = 0;
  #paused = false;
  /** Whoever writes waits for it to go out. */
  #blocked = false;
  readonly #wait = new Wait();

  constructor(owner: RequestOwner, request: OutgoingRequest, events: BackendEvents) {
    this.#owner = owner;
    this.#request = request;
    this.#events = events;
    this.#toSend = request.body === null ? request.bodyLength : 0;
    this.#text = this.#write(() => requestHeadText(request)) ?? "";
  }

  get client(): ClientAddress | null {
    return this.#request.client;
  }

  /** False: it has a fault of its own, which is told in a moment. */
  get sendable(): boolean {
    return this.#text !== "";
  }

  /** @returns null, and fails the request, for what cannot be written */
  #write(text: () => string): string | null {
    try {
      return text();
    } catch (error) {
      if (!(error instanceof UnsendableError)) throw error;
      process.nextTick(failLater, this, error.message);
      return null;
    }
  }

  start(connection: Http1Connection): void {
    const text = this.#text;
    const { body } = this.#request;
    const { socket } = connection;
    this.#text = "";
    this.connecting = null;
    this.#connection = connection;
    this.sent = true;
    this.#wait.begin();
    if (body !== null && body.length > 0) {
      writeWhole(socket, text, body);
    } else if (this.#toSend === 0) {
      socket.write(text, "latin1");
    } else {
      // Together with the first of the body, if that is at hand.
      socket.cork();
      this.#corked = true;
      socket.write(text, "latin1");
      process.nextTick(announce, this);
    }
  }

  onReady(): void {
    if (this.#phase === "head") this.#events.onBackendReady();
    process.nextTick(uncorkLater, this); // a client's connection reads on as late
  }

  uncork(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.#connection?.socket.uncork();
  }

  get #inTunnel(): boolean {
    return this.#phase === "tunnel" || this.#phase === "half-closed";
  }

  write(chunk: Buffer): boolean {
    const connection = this.#connection;
    if (connection === null || chunk.length === 0) return true;
    this.#wait.begin();
    if (this.#inTunnel) return this.#writeBytes(connection, chunk);
    if (this.#toSend === 0 || this.#phase === "over") return true;
    if (this.#toSend === Number.POSITIVE_INFINITY) return this.#writeChunk(connection, chunk);
    if (chunk.length > this.#toSend) {
      this.#failLater("broken", "the body of the request is longer than it said");
      return true;
    }
    this.#toSend -= chunk.length;
    return this.#writeBytes(connection, chunk);
  }

  #writeBytes({ socket }: Http1Connection, chunk: Buffer): boolean {
    const goOn = socket.write(chunk);
    this.uncork();
    return this.#noted(goOn, chunk, socket);
  }

  /** @param goOn whether more may be written now */
  #noted(goOn: boolean, chunk: Buffer, socket: Socket): boolean {
    settleSent(chunk, socket);
    this.#blocked = !goOn;
    return goOn;
  }

  #writeChunk({ socket }: Http1Connection, chunk: Buffer): boolean {
    socket.cork();
    socket.write(chunkHead(chunk.length), "latin1");
    socket.write(chunk);
    const goOn = socket.write("\r\n", "latin1");
    socket.uncork();
    this.uncork();
    return this.#noted(goOn, chunk, socket);
  }

  end(trailers: Fields | null): void {
    const connection = this.#connection;
    if (connection === null || this.#phase === "over") return;
    if (this.#inTunnel) {
      connection.socket.end();
      this.#toSend = ENDED;
      if (this.#phase === "half-closed") this.#endTunnel(connection);
      return;
    }
    if (this.#toSend === 0) return;
    if (this.#toSend !== Number.POSITIVE_INFINITY) {
      this.#failLater("broken", `the body of the request ended ${this.#toSend} bytes early`);
      return;
    }
    const last = this.#write(() => lastChunk(trailers));
    if (last === null) return;
    this.#toSend = 0;
    this.#wait.begin();
    connection.socket.write(last, "latin1");
  }

  pause(): void {
    if (this.#phase === "over") return;
    this.#paused = true;
    this.#connection?.pause();
  }

  resume(): void {
    if (this.#phase === "over" || !this.#paused) return;
    this.#paused = false;
    this.#wait.begin();
    this.#connection?.resume();
  }

  abort(): void {
    if (this.#phase === "over") return;
    const connection = this.#connection ?? this.connecting;
    this.#finish();
    connection?.destroy();
  }

  onDrain(): void {
    if (this.#phase === "over" || !this.#blocked) return;
    this.#blocked = false;
    this.#wait.begin();
    this.#events.onBackendDrain();
  }

  receive(bytes: Buffer): void {
    if (this.#phase !== "head") this.#wait.begin();
    this.#answered = true;
    let at = 0;
    while (this.#phase === "head") {
      at = this.#readHead(bytes, at);
      if (at === -1) return;
    }
    lend(bytes);
    if (this.#phase === "tunnel") {
      if (at < bytes.length) this.onBody(at === 0 ? bytes : bytes.subarray(at));
      this.#flush();
    } else if (this.#phase === "body") {
      this.#readBody(bytes, at);
    }
    takeBack(bytes);
  }

  /** @returns where it ends; -1: no further */
  #readHead(bytes: Buffer, at: number): number {
    const connection = this.#connection as Http1Connection;
    if (at === bytes.length) return -1;
    const next = connection.section.read(bytes, at);
    if (next < 0) {
      if (next === TOO_LARGE) this.#invalid("its header section is too large");
      if (next === NOT_HTTP) this.#invalid("it is not HTTP");
      return -1;
    }
    const reading = readResponseHead(connection.section.text, this.#request);
    if (typeof reading === "string") {
      this.#invalid(reading);
      return -1;
    }
    if (reading.interim) this.#onInterim(reading);
    else this.#onHead(connection, reading);
    return next;
  }

  #onInterim({ head }: ResponseReading): void {
    this.#interims += 1;
    if (this.#interims > MAX_INTERIMS) this.#invalid("there are too many interim answers");
    else if (head.status !== 100) this.#events.onBackendInterim(head.status, head.fields);
  }

  #onHead({ body, socket }: Http1Connection, reading: ResponseReading): void {
    this.#reading = reading;
    this.#early = this.#toSend !== 0 || socket.writableLength > 0;
    const { head, chunked } = reading;
    body.begin(head.bodyLength, chunked);
    this.#phase = head.tunnel ? "tunnel" : "body";
    this.#wait.begin();
    this.#events.onBackendHead(head);
  }

  #readBody(bytes: Buffer, at: number): void {
    const { body } = this.#connection as Http1Connection;
    const end = body.read(bytes, at, this);
    if (this.#over) return;
    if (body.fault !== null) this.#invalid(body.fault);
    else if (body.done) this.#complete(end === bytes.length);
    else this.#flush();
  }

  /** What might have become "over" in an event. */
  get #over(): boolean {
    return this.#phase === "over";
  }

  onBody(chunk: Buffer): boolean {
    handOn(chunk);
    this.#events.onBackendData(chunk);
    return !this.#over;
  }

  #flush(): void {
    if (!this.#over) this.#events.onBackendFlush();
  }

  /** @param clean nothing came behind the answer */
  #complete(clean: boolean): void {
    const connection = this.#connection as Http1Connection;
    const { keepAlive, keepAliveHintMs } = this.#reading as ResponseReading;
    const { trailers } = connection.body;
    const reusable = clean && !this.#early && keepAlive && this.#owner.reusable;
    this.#finish();
    if (reusable) connection.release(keepAliveHintMs);
    else connection.destroy();
    this.#events.onBackendEnd(trailers);
  }

  /** The backend sends no more. */
  onEnd(): void {
    const connection = this.#connection;
    if (connection !== null && this.#phase === "tunnel") {
      this.#phase = "half-closed";
      if (this.#toSend === ENDED) this.#endTunnel(connection);
      this.#events.onBackendEnd(null);
      return;
    }
    if (connection === null || this.#phase !== "body" || !this.#reading?.untilClose) {
      this.fail("broken", "the backend closed the connection");
      connection?.destroy();
    } else if (connection.secure) {
      // Node does not tell an end that TLS vouches for from one that anybody on the way could have made.
      connection.destroy();
      this.fail(
        "broken",
        "only the connection's end marks that of the answer, which proves nothing over TLS",
      );
    } else {
      connection.body.close();
      this.#complete(false);
    }
  }

  /** Both sides have ended it; what was written still goes out. */
  #endTunnel(connection: Http1Connection): void {
    this.#finish();
    connection.endSoon();
  }

  onSweep(nowMs: number): void {
    const { responseHeadersMs } = this.#request;
    const idleMs = this.#inTunnel ? this.#request.tunnelIdleMs : this.#request.idleMs;
    const silentMs = this.#wait.age(nowMs);
    if (this.#phase === "head") {
      if (this.#toSend > 0 && !this.#connection?.socket.writableNeedDrain)
        this.#wait.begin(); // the client's turn
      else if (silentMs >= responseHeadersMs) this.#timeOut("headers-timeout", responseHeadersMs);
    } else if (this.#phase === "body" && this.#paused) {
      this.#wait.begin();
    } else if (silentMs >= idleMs) {
      this.#timeOut("idle-timeout", idleMs);
    }
  }

  #timeOut(fault: Fault, limitMs: number): void {
    const connection = this.#connection;
    connection?.destroy();
    this.fail(fault, `nothing for ${limitMs} ms`);
  }

  #invalid(why: string): void {
    this.#connection?.destroy();
    this.fail("invalid-answer", why);
  }

  /** Not while the caller still expects to be told by a return. */
  #failLater(fault: Fault, detail: string): void {
    this.#toSend = 0;
    process.nextTick(failLater, this, detail, fault);
  }

  /** The connection has failed, or is given up. */
  fail(fault: Fault, detail: string): void {
    if (this.#phase === "over") return;
    const stale = fault === "broken" && !this.#answered && this.#isFresh();
    this.#finish();
    this.#events.onBackendError(stale ? "stale" : fault, detail);
  }

  /** On a connection that was used before, and hardly sent: the backend may have closed it without reading this. */
  #isFresh(): boolean {
    return this.#connection?.reused === true && this.#wait.age(this.#owner.sweep.clock()) < STALE_WITHIN_MS;
  }

  failAtOnce(fault: Fault, detail: string): void {
    const connection = this.#connection ?? this.connecting;
    connection?.destroy();
    this.fail(fault, detail);
  }

  #finish(): void {
    this.#phase = "over";
    this.#connection = null;
    this.connecting = null;
    this.#owner.onRequestOver();
  }
}

const announce = (request: Http1Request): void => request.onReady();

const uncorkLater = (request: Http1Request): void => request.uncork();

const failLater = (request: Http1Request, detail: string, fault: Fault = "unsendable"): void =>
  request.failAtOnce(fault, detail);
