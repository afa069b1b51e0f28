// One request of an HTTP/1 connection and its answer, as whoever serves it sees them: frames the answer, and keeps what
// is small together, so that a small answer is one write.
import type { Socket } from "node:net";
import type { RequestReading } from "../http1/head.ts";
import {
  type AnswerFraming,
  CONTINUE,
  chunkHead,
  interimText,
  lastChunk,
  responseHeadText,
} from "../http1/write.ts";
import type { Fields } from "../messages/fields.ts";
import type { ClientConnection, ClientEvents, Incoming } from "../messages/incoming.ts";
import { handOn, settle, settleSent } from "../messages/lending.ts";
import { hasNoBody, type RequestHead, type ResponseHead } from "../messages/message.ts";

/**
 * Bytes up to which a part of a body is joined with what goes out before it; larger ones go out beside it. Measured: with
 * both above 16 KiB, beyond which the system's text buffer is no longer on the stack, joining costs twice as much.
 */
const JOINED_BYTES = 8 * 1024;

/** The connection, as far as its present request needs it. */
export interface Turn {
  readonly socket: Socket;
  readonly connection: ClientConnection;
  /** The request's body may come, or come on. */
  onRead(): void;
  onPauseReading(): void;
  /** Whether another request may follow an answer that begins now. */
  mayGoOn(exchange: Exchange): boolean;
  /** The socket takes no more for now. */
  onStalled(): void;
  onTunnel(): void;
  /** Nothing more is sent through the tunnel. */
  onTunnelEnd(exchange: Exchange): void;
  /** All of the answer has been written. */
  onAnswered(exchange: Exchange, keepAlive: boolean): void;
  /** Ends the connection so that nobody takes what has gone out for the whole. */
  cut(reason: string): void;
}

/** Stands in where nobody is to be told any more. */
const NOBODY: ClientEvents = {
  onClientData() {},
  onClientEnd() {},
  onClientDrain() {},
  onClientGone() {},
  onClientFault() {},
};

const flushLater = (exchange: Exchange): void => exchange.flushOfTick();

export class Exchange implements Incoming {
  readonly head: RequestHead;
  readonly connection: ClientConnection;
  events: ClientEvents = NOBODY;
  /** The body, or in a tunnel whatever comes, is wanted. */
  reading = false;
  /** The end of what the client sends was told. */
  inputOver = false;
  /** The client waits for 100 before it sends the body. */
  expectsContinue: boolean;
  readonly #turn: Turn;
  #keepAlive: boolean;
  #headSent = false;
  #over = false;
  #tunnel = false;
  #tunnelEnded = false;
  #bodyless = false;
  #chunked = false;
  /** Bytes of the body still to be written; Infinity where none were declared. */
  #left = 0;
  /** Written, but not yet handed to the socket: Latin-1. */
  #held = "";
  #flushDue = false;

  constructor(turn: Turn, { head, keepAlive, expectsContinue }: RequestReading) {
    this.head = head;
    this.connection = turn.connection;
    this.expectsContinue = expectsContinue;
    this.#turn = turn;
    this.#keepAlive = keepAlive;
  }

  /** From here on neither side is heard: the answer is out, cut, or has lost its client. */
  get over(): boolean {
    return this.#over;
  }

  finish(): void {
    this.#over = true;
    this.events = NOBODY;
    this.#held = "";
  }

  /** A part of the body has come. */
  receive(chunk: Buffer): void {
    handOn(chunk);
    this.events.onClientData(chunk);
  }

  /** The client has sent what cannot be understood, or nothing for too long; an answer may still be written. */
  fault(status: number, reason: string): void {
    const { events } = this;
    this.events = NOBODY;
    this.inputOver = true;
    this.#keepAlive = false;
    events.onClientFault(status, reason);
  }

  read(): void {
    if (this.#over || this.reading) return;
    this.reading = true;
    if (this.expectsContinue && !this.#headSent) {
      this.expectsContinue = false;
      this.#turn.socket.write(CONTINUE, "latin1");
    }
    this.#turn.onRead();
  }

  pauseReading(): void {
    if (this.#over || !this.reading) return;
    this.reading = false;
    this.#turn.onPauseReading();
  }

  sendInterim(status: number, fields: Fields): void {
    if (this.#over || this.#headSent || this.head.version === "1.0") return;
    try {
      this.#send(interimText(status, fields), null);
    } catch (error) {
      this.#turn.cut((error as Error).message);
    }
  }

  sendHead(head: ResponseHead): void {
    if (this.#over || this.#headSent) return;
    const { method, upgrade } = this.head;
    const version = this.head.version === "1.0" ? "1.0" : "1.1";
    const bodyless = head.tunnel || hasNoBody(method, head.status);
    const chunked = !bodyless && head.bodyLength === Number.POSITIVE_INFINITY && version === "1.1";
    const delimited = bodyless || chunked || head.bodyLength !== Number.POSITIVE_INFINITY;
    const keepAlive = this.#keepAlive && delimited && this.#turn.mayGoOn(this);
    const framing = { method, version, upgrade, keepAlive, chunked } as const;
    if (!this.#holdHead(head, framing)) return;
    this.#headSent = true;
    this.#keepAlive = keepAlive;
    this.#bodyless = bodyless;
    this.#chunked = chunked;
    this.#left = bodyless ? 0 : head.bodyLength;
    if (head.tunnel) this.#openTunnel();
  }

  write(chunk: Buffer): boolean {
    if (this.#over || !this.#headSent) return true;
    if (this.#tunnel) return this.#tunnelEnded || this.#sendHeld(chunk);
    if (this.#bodyless || chunk.length === 0) return !this.#turn.socket.writableNeedDrain;
    if (this.#chunked) return this.#writeChunk(chunk);
    this.#left -= chunk.length;
    if (this.#left < 0) {
      this.#turn.cut("the answer is longer than it declared");
      return true;
    }
    return this.#sendHeld(chunk);
  }

  flush(): void {
    if (this.#over || this.#held === "") return;
    this.#sendHeld(null);
  }

  end(trailers: Fields | null): void {
    if (this.#over) return;
    if (this.#tunnel) this.#endTunnel();
    else if (!this.#isWhole() || !this.#endChunks(trailers)) this.abort();
    else {
      if (this.#held !== "") this.#sendHeld(null);
      this.finish();
      this.#turn.onAnswered(this, this.#keepAlive);
    }
  }

  abort(): void {
    if (this.#over) return;
    this.finish();
    this.#turn.cut("the answer was cut off");
  }

  flushOfTick(): void {
    this.#flushDue = false;
    this.flush();
  }

  /** Small chunks of one turn of the event loop go out together, at its end. */
  #writeChunk(chunk: Buffer): boolean {
    this.#held += chunkHead(chunk.length);
    if (chunk.length > JOINED_BYTES) {
      const { socket } = this.#turn;
      socket.cork();
      this.#sendHeld(chunk);
      const more = this.#send("\r\n", null);
      socket.uncork();
      settleSent(chunk, socket); // not before: until here all of it was waiting
      return more;
    }
    this.#held += `${chunk.toString("latin1")}\r\n`;
    settle(chunk);
    if (this.#held.length > JOINED_BYTES) return this.#sendHeld(null);
    if (!this.#flushDue) {
      this.#flushDue = true;
      process.nextTick(flushLater, this);
    }
    return !this.#turn.socket.writableNeedDrain;
  }

  #sendHeld(chunk: Buffer | null): boolean {
    const held = this.#held;
    this.#held = "";
    const more = this.#send(held, chunk);
    if (chunk !== null) settleSent(chunk, this.#turn.socket);
    return more;
  }

  /** @returns false where the socket wants no more for now */
  #send(text: string, chunk: Buffer | null): boolean {
    const { socket } = this.#turn;
    let more: boolean;
    if (chunk === null) more = socket.write(text, "latin1");
    else if (text === "") more = socket.write(chunk);
    else if (chunk.length <= JOINED_BYTES) more = socket.write(text + chunk.toString("latin1"), "latin1");
    else {
      socket.cork();
      socket.write(text, "latin1");
      more = socket.write(chunk);
      socket.uncork();
    }
    if (!more) this.#turn.onStalled();
    return more;
  }

  #openTunnel(): void {
    this.#tunnel = true;
    this.inputOver = false;
    this.#sendHeld(null);
    this.#turn.onTunnel();
  }

  #endTunnel(): void {
    if (this.#tunnelEnded) return;
    this.#tunnelEnded = true;
    this.#turn.onTunnelEnd(this);
  }

  /** @returns false where it may not be sent: nothing may be sent in its place, and the connection is cut */
  #holdHead(head: ResponseHead, framing: AnswerFraming): boolean {
    try {
      if (head.tunnel && framing.upgrade === null)
        throw new Error("the answer opens a tunnel nobody asked for");
      this.#held = responseHeadText(head, framing);
      return true;
    } catch (error) {
      this.#turn.cut((error as Error).message);
      return false;
    }
  }

  #isWhole(): boolean {
    return this.#headSent && (this.#left === 0 || this.#left === Number.POSITIVE_INFINITY);
  }

  /** @returns false where the trailers cannot be sent */
  #endChunks(trailers: Fields | null): boolean {
    if (!this.#chunked) return true;
    try {
      this.#held += lastChunk(trailers);
      return true;
    } catch {
      return false;
    }
  }
}
