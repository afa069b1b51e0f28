// One HTTP/2 stream as a request being served: node:http2's stream on one side, the contract of messages/incoming.ts on
// the other. An answer that is cut off ends with RST_STREAM, so that nobody takes it for the whole.
import { constants, type ServerHttp2Stream } from "node:http2";
import type { HttpLimits } from "@evenkeel/core/config/resolve-listeners.ts";
import { type Fields, fieldOf } from "../messages/fields.ts";
import type { ClientConnection, ClientEvents, Handler, Incoming } from "../messages/incoming.ts";
import type { RequestHead, ResponseHead } from "../messages/message.ts";
import { headerObject, mayHaveTrailers, responseHeaders } from "./http2-answer.ts";
import { readTrailers } from "./http2-head.ts";

const { NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_CANCEL } = constants;
const REQUEST_WHOLE = constants.NGHTTP2_STREAM_STATE_HALF_CLOSED_REMOTE;

/** Looks at silent streams this often within the time that a client may be silent. */
export const LOOKS_PER_IDLE = 4;

/** What a stream needs of its connection. */
export interface StreamOwner {
  readonly connection: ClientConnection;
  readonly limits: HttpLimits;
  /** Before the header section of an answer. */
  onAnswer(): void;
  /** From now on the stream has to be looked at, until it is closed. */
  onWaiting(): void;
  /** @param premature without a whole answer, and not by our doing */
  onClosed(request: Http2Request, premature: boolean): void;
}

const REQUEST = Symbol("request");
type Stream = ServerHttp2Stream & { [REQUEST]?: Http2Request };

export class Http2Request implements Incoming {
  readonly head: RequestHead;
  readonly connection: ClientConnection;
  readonly #stream: Stream;
  readonly #owner: StreamOwner;
  #events: ClientEvents | null = null;
  /** Held back until there is more to send with it. */
  #held: ResponseHead | null = null;
  #trailers: Fields | null = null;
  #requestTrailers: Fields | null = null;
  /** `over`: ended, aborted or gone; nothing is told or taken any more. */
  #over = false;
  #answered = false;
  #aborted = false;
  /** Both sides end by themselves: after our end the client may still send. */
  #tunnel = false;
  #reading = false;
  #inputEnded: boolean;
  #endTold = false;
  /** We wait for the client: to send, or to read. */
  #mustSend = false;
  #mustRead = false;
  /** Nothing was written since the last doubt. */
  #quiet = false;
  /** Looks in a row that found it waiting. */
  #looks = 0;
  #unsent = 0;

  /**
   * @param stream with a listener for its errors
   * @param ended the request has no body
   */
  constructor(stream: ServerHttp2Stream, head: RequestHead, ended: boolean, owner: StreamOwner) {
    this.head = head;
    this.connection = owner.connection;
    this.#owner = owner;
    this.#stream = stream;
    this.#inputEnded = ended;
    this.#stream[REQUEST] = this;
    stream.on("close", onClose);
    if (!ended) stream.on("end", onEnd).on("trailers", onTrailers);
  }

  begin(handler: Handler): void {
    this.#events = handler(this);
  }

  read(): void {
    if (this.#over || this.#reading) return;
    if (this.#inputEnded) {
      if (!this.#endTold) process.nextTick(tellEnd, this);
      return;
    }
    this.#reading = true;
    this.#wait(!this.#tunnel || this.#stream.writableEnded, this.#mustRead); // a tunnel may be silent
    if (this.#stream.listenerCount("data") === 0) {
      this.#continue();
      this.#stream.on("data", onData);
    }
    this.#stream.resume();
  }

  pauseReading(): void {
    if (this.#over || !this.#reading) return;
    this.#reading = false;
    this.#wait(false, this.#mustRead);
    this.#stream.pause();
  }

  /** What the client waits for before it sends a body. */
  #continue(): void {
    if (this.#answered || fieldOf(this.head.fields, "expect")?.toLowerCase() !== "100-continue") return;
    this.sendInterim(100, []);
  }

  sendInterim(status: number, fields: Fields): void {
    if (this.#over || this.#answered || this.#stream.closed) return;
    const headers = headerObject(fields);
    headers[":status"] = status;
    try {
      this.#stream.additionalHeaders(headers);
    } catch {
      // An interim answer that cannot be expressed is not worth the final one.
    }
  }

  sendHead(head: ResponseHead): void {
    if (!this.#over) this.#held = head;
  }

  /** @returns whether the stream is still of use */
  #respond(endStream: boolean, withTrailers: boolean): boolean {
    const head = this.#held;
    if (head === null) return this.#answered;
    this.#held = null;
    this.#owner.onAnswer();
    if (this.#stream.closed || this.#stream.destroyed) return false;
    const waitForTrailers = withTrailers || (!endStream && mayHaveTrailers(head));
    try {
      this.#stream.respond(responseHeaders(head, this.head), { endStream, waitForTrailers });
    } catch {
      this.#cut(); // a field that HTTP/2 has no form for
      return false;
    }
    this.#answered = true;
    this.#tunnel = head.tunnel;
    if (!endStream) this.#stream._final = withhold;
    if (waitForTrailers) this.#stream.on("wantTrailers", onWantTrailers);
    return true;
  }

  write(chunk: Buffer): boolean {
    if (this.#over || !this.#respond(false, false)) return true;
    if (this.head.method === "HEAD" || this.#stream.writableEnded) return true;
    this.#quiet = false;
    if (this.#stream.write(chunk)) return true;
    if (this.#stream.listenerCount("drain") === 0) this.#stream.on("drain", onDrain);
    this.#wait(this.#mustSend, true);
    return false;
  }

  flush(): void {
    if (!this.#over) this.#respond(false, false);
  }

  end(trailers: Fields | null): void {
    if (this.#over) return;
    const bare = this.#held !== null && trailers === null;
    this.#trailers = trailers;
    if (!this.#respond(bare, trailers !== null)) {
      if (this.#aborted) this.#over = true;
      return;
    }
    if (this.#tunnel) {
      this.#endTunnel();
      return;
    }
    this.#over = true;
    this.#wait(false, true); // until it is closed, the client has to read, or to stop sending
    if (!bare) {
      this.#stream._final = finish;
      this.#stream.end();
    }
    if (!this.#inputEnded) this.#dropInput();
  }

  #endTunnel(): void {
    if (this.#stream.writableEnded) return;
    this.#stream._final = finish;
    this.#stream.end();
    this.#over = this.#endTold;
    this.#wait(!this.#endTold, true);
  }

  /** The rest of the request is of no use; to say so must not overtake the answer (RFC 9113, 8.1). */
  #dropInput(): void {
    const stream = this.#stream;
    stream.off("data", onData).resume();
    if (stream.writableFinished) setImmediate(stopInput, stream);
    else stream.once("finish", () => setImmediate(stopInput, stream));
  }

  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#cut();
  }

  #cut(): void {
    this.#aborted = true;
    setImmediate(closeNow, this.#stream, NGHTTP2_INTERNAL_ERROR);
  }

  #wait(mustSend: boolean, mustRead: boolean): void {
    if (mustRead !== this.#mustRead || mustSend !== this.#mustSend) this.#looks = 0;
    this.#mustSend = mustSend;
    this.#mustRead = mustRead;
    if (mustSend || mustRead) this.#owner.onWaiting();
  }

  /** Nothing more comes on this connection. A request that is not whole, or a tunnel, cannot go on. */
  onConnectionEnd(): void {
    if (this.#stream.closed) return;
    if (this.#inputEnded || this.#stream.state.state === REQUEST_WHOLE) this.doubt();
    else this.#leave();
  }

  /** After the second in a row, without anything written that a client which is gone would have answered with a reset. */
  doubt(): void {
    if (this.#over) return;
    if (this.#quiet && this.#stream.bufferSize === 0) this.#leave();
    this.#quiet = true;
  }

  #leave(): void {
    this.#gone("the client closed the connection");
    setImmediate(closeNow, this.#stream, NGHTTP2_CANCEL);
  }

  /** Cuts the stream off when the client has kept it waiting for too long. */
  look(): void {
    if (!this.#mustSend && !this.#mustRead) return;
    const unsent = this.#stream.bufferSize;
    if (this.#mustRead && unsent !== this.#unsent) this.#looks = 0;
    this.#unsent = unsent;
    this.#looks += 1;
    if (this.#looks <= LOOKS_PER_IDLE) return;
    const reason = this.#mustRead
      ? "the client read nothing for too long"
      : "the client sent nothing for too long";
    this.#gone(reason);
    setImmediate(closeNow, this.#stream, NGHTTP2_CANCEL);
  }

  #gone(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#events?.onClientGone(reason);
  }

  onData(chunk: Buffer): void {
    this.#looks = 0;
    if (!this.#over) this.#events?.onClientData(chunk);
  }

  /** Also comes when the stream was cut off: then it is no end. */
  onEnd(): void {
    this.#inputEnded = true;
    this.#mustSend = false;
    if (!this.#stream.closed && !this.#stream.aborted) this.tellEnd();
  }

  tellEnd(): void {
    if (this.#over || this.#endTold) return;
    this.#endTold = true;
    const events = this.#events;
    if (this.#tunnel && this.#stream.writableEnded) this.#over = true;
    events?.onClientEnd(this.#requestTrailers);
  }

  onTrailers(raw: readonly string[]): void {
    this.#requestTrailers = readTrailers(raw, this.#owner.limits);
  }

  onDrain(): void {
    if (this.#over) return;
    this.#wait(this.#mustSend, false);
    this.#events?.onClientDrain();
  }

  onWantTrailers(): void {
    try {
      this.#stream.sendTrailers(headerObject(this.#trailers ?? []));
    } catch {
      setImmediate(closeNow, this.#stream, NGHTTP2_INTERNAL_ERROR); // a field that HTTP/2 has no form for
    }
  }

  onClose(): void {
    const whole = this.#over && !this.#aborted;
    const premature = !this.#aborted && (!whole || this.#stream.rstCode !== NGHTTP2_NO_ERROR);
    this.#gone(`the stream was closed: ${codeName(this.#stream.rstCode)}`);
    this.#owner.onClosed(this, premature);
  }
}

/**
 * In place of the stream's own: that one sends END_STREAM, also when the stream is closed or destroyed in the middle of
 * an answer, which would then look whole.
 */
function withhold(done: (error?: Error | null) => void): void {
  done();
}

function finish(this: ServerHttp2Stream, done: (error?: Error | null) => void): void {
  Object.getPrototypeOf(this)._final.call(this, done);
}

// One function each for all streams: a listener made for every request would be paid for by every request.
function onData(this: Stream, chunk: Buffer): void {
  this[REQUEST]?.onData(chunk);
}
function onEnd(this: Stream): void {
  this[REQUEST]?.onEnd();
}
function onTrailers(this: Stream, _headers: unknown, _flags: number, raw?: string[]): void {
  this[REQUEST]?.onTrailers(raw ?? []);
}
function onDrain(this: Stream): void {
  this[REQUEST]?.onDrain();
}
function onWantTrailers(this: Stream): void {
  this[REQUEST]?.onWantTrailers();
}
function onClose(this: Stream): void {
  this[REQUEST]?.onClose();
}

const tellEnd = (request: Http2Request): void => request.tellEnd();

function stopInput(stream: ServerHttp2Stream): void {
  if (!stream.destroyed) stream.close(NGHTTP2_NO_ERROR);
}

/** By code (RFC 9113, 7). */
const CODES = [
  "NO_ERROR",
  "PROTOCOL_ERROR",
  "INTERNAL_ERROR",
  "FLOW_CONTROL_ERROR",
  "SETTINGS_TIMEOUT",
  "STREAM_CLOSED",
  "FRAME_SIZE_ERROR",
  "REFUSED_STREAM",
  "CANCEL",
  "COMPRESSION_ERROR",
  "CONNECT_ERROR",
  "ENHANCE_YOUR_CALM",
  "INADEQUATE_SECURITY",
  "HTTP_1_1_REQUIRED",
];

const codeName = (code: number | undefined): string => CODES[code ?? 0] ?? `code ${code}`;

/** Never while frames are being read: Node ends the process when a stream is closed then whose trailers are due. */
function closeNow(stream: ServerHttp2Stream, code: number): void {
  if (!stream.destroyed) stream.close(code);
}
