// One request as a stream of an HTTP/2 connection, and its answer. Strict on both ways: a request that is cut off ends
// with RST_STREAM and never looks whole to the backend, and no answer is taken for whole that is not.
import { type ClientHttp2Stream, constants } from "node:http2";
import { type Fields, fieldOf } from "../messages/fields.ts";
import { hasNoBody } from "../messages/message.ts";
import type { BackendEvents, Fault, Outgoing, OutgoingRequest } from "../messages/outgoing.ts";
import { fieldsOf, requestHeaders, switchFields, trailerHeaders } from "./http2-fields.ts";
import type { Carried, Http2Session } from "./http2-session.ts";
import { MAX_INTERIMS, STALE_WITHIN_MS } from "./limits.ts";
import type { Sweep } from "./sweep.ts";
import { Wait } from "./sweep.ts";

const { NGHTTP2_CANCEL, NGHTTP2_REFUSED_STREAM, NGHTTP2_FLAG_END_STREAM } = constants;

type Phase = "head" | "body" | "tunnel" | "half-closed" | "over";

export interface Http2RequestOwner {
  readonly sweep: Sweep;
  onRequestOver(): void;
}

export class Http2Request implements Outgoing, Carried {
  sent = false;
  /** Carries it, or will once it is there. */
  session: Http2Session | null = null;
  readonly #owner: Http2RequestOwner;
  readonly request: OutgoingRequest;
  readonly #events: BackendEvents;
  #stream: ClientHttp2Stream | null = null;
  #phase: Phase = "head";
  /** All of the request was written. */
  #complete: boolean;
  /** Of the request. */
  #trailers: Record<string, string[]> = {};
  /** Of the answer. */
  #received: Fields | null = null;
  /** The backend has said that its answer is complete. */
  #ended = false;
  /** Bytes of the answer's body that were declared and have not come yet; Infinity: none were. */
  #left = Number.POSITIVE_INFINITY;
  #interims = 0;
  #paused = false;
  #blocked = false;
  #detail = "";
  readonly #wait = new Wait();

  constructor(owner: Http2RequestOwner, request: OutgoingRequest, events: BackendEvents) {
    this.#owner = owner;
    this.request = request;
    this.#events = events;
    this.#complete = request.body !== null || request.bodyLength === 0;
  }

  /** The connection is there, and it is known what the backend can do. */
  start(session: Http2Session): void {
    const { upgrade, body } = this.request;
    this.#wait.begin();
    if (upgrade !== null && !session.session.remoteSettings.enableConnectProtocol) {
      process.nextTick(failLater, this, "the backend's HTTP/2 offers no switch of protocols");
      return;
    }
    const endStream = this.#complete && body === null && upgrade === null;
    const waitForTrailers = !this.#complete;
    try {
      this.#stream = session.session.request(requestHeaders(this.request), { endStream, waitForTrailers });
    } catch (error) {
      if (session.usable) process.nextTick(failLater, this, (error as Error).message);
      else process.nextTick(failUnsent, this);
      return;
    }
    this.sent = true;
    if (!endStream && body === null) this.#stream._final = withhold;
    this.#watch(this.#stream);
    if (body !== null) this.#stream.end(body);
    else if (!this.#complete) process.nextTick(announce, this);
  }

  #watch(stream: ClientHttp2Stream): void {
    stream.on("headers", (_headers, _flags, raw) => this.#onInterim(raw as unknown as string[]));
    stream.on("response", (_headers, flags, raw) => this.#onHead(flags, raw as unknown as string[]));
    stream.on("trailers", (_headers, _flags, raw) => {
      this.#received = fieldsOf((raw ?? []) as unknown as string[]);
    });
    stream.on("wantTrailers", () => {
      if (!stream.closed && !stream.destroyed) stream.sendTrailers(this.#trailers);
    });
    stream.on("data", (chunk: Buffer) => this.#onData(chunk));
    stream.on("drain", () => this.#onDrain());
    stream.on("end", () => this.#onEnd());
    stream.on("error", (error) => {
      this.#detail = error.message;
    });
    stream.on("close", () => this.#onClose(stream));
    // Node ends the readable side alike when the backend has ended its answer and when the stream was cut off; but
    // only then it has closed the stream before.
    const push = stream.push;
    stream.push = (chunk, encoding) => {
      if (chunk === null && !stream.closed) this.#ended = true;
      return push.call(stream, chunk, encoding);
    };
  }

  onReady(): void {
    if (this.#phase === "head") this.#events.onBackendReady();
  }

  write(chunk: Buffer): boolean {
    const stream = this.#stream;
    if (stream === null || stream.writableEnded || stream.destroyed || this.#phase === "over") return true;
    if (this.#complete && !this.#inTunnel) return true;
    this.#wait.begin();
    this.#blocked = !stream.write(chunk);
    return !this.#blocked;
  }

  end(trailers: Fields | null): void {
    const stream = this.#stream;
    if (stream === null || this.#phase === "over" || stream.writableEnded) return;
    if (this.#complete && !this.#inTunnel) return;
    try {
      this.#trailers = trailerHeaders(trailers ?? []);
    } catch (error) {
      process.nextTick(failLater, this, (error as Error).message);
      return;
    }
    this.#complete = true;
    this.#wait.begin();
    stream._final = finish;
    stream.end();
    if (this.#phase === "half-closed") this.#finish();
  }

  get #inTunnel(): boolean {
    return this.#phase === "tunnel" || this.#phase === "half-closed";
  }

  pause(): void {
    if (this.#phase === "over") return;
    this.#paused = true;
    this.#stream?.pause();
  }

  resume(): void {
    if (this.#phase === "over" || !this.#paused) return;
    this.#paused = false;
    this.#wait.begin();
    this.#stream?.resume();
  }

  abort(): void {
    if (this.#phase === "over") return;
    this.#cancel();
    this.#finish();
  }

  /**
   * Not at once: Node ends the process when a stream whose trailers are due is closed while frames are being read, which
   * is when most of this is called.
   */
  #cancel(): void {
    const stream = this.#stream;
    if (stream === null) return;
    setImmediate(cancelNow, stream);
    stream.resume(); // what has come already is dropped
  }

  #onInterim(raw: string[]): void {
    if (this.#phase !== "head") return;
    this.#interims += 1;
    const status = statusOf(raw);
    if (this.#interims > MAX_INTERIMS) this.#give("invalid-answer", "there are too many interim answers");
    else if (status !== 100 && status !== 101) this.#events.onBackendInterim(status, fieldsOf(raw));
  }

  #onHead(flags: number, raw: string[]): void {
    if (this.#phase !== "head") return;
    const status = statusOf(raw);
    const fields = fieldsOf(raw);
    this.#wait.begin();
    if (this.request.upgrade !== null && status === 200) {
      this.#phase = "tunnel";
      const switched = switchFields(this.request, fields);
      this.#events.onBackendHead({ status: 101, reason: "", fields: switched, bodyLength: 0, tunnel: true });
      return;
    }
    this.#phase = "body";
    const bodyLength = lengthOf(this.request.method, status, flags, fields);
    this.#left = bodyLength;
    this.#events.onBackendHead({ status, reason: "", fields, bodyLength, tunnel: false });
  }

  #onData(chunk: Buffer): void {
    if (this.#phase === "over") return;
    this.#wait.begin();
    this.#left -= chunk.length;
    this.#events.onBackendData(chunk);
    if (this.#phase === "body" || this.#inTunnel) this.#events.onBackendFlush();
  }

  #onDrain(): void {
    if (this.#phase === "over" || !this.#blocked) return;
    this.#blocked = false;
    this.#wait.begin();
    this.#events.onBackendDrain();
  }

  #onEnd(): void {
    if (this.#phase === "over" || this.#phase === "head") return;
    // Some close the stream, without a fault, in place of ending it: then only a declared length tells that it is whole.
    const whole = this.#ended || (this.#phase === "body" && this.#left === 0 && !this.#stream?.rstCode);
    if (!whole) return;
    if (this.#phase === "tunnel") {
      this.#phase = "half-closed";
      if (this.#stream?.writableEnded) this.#finish();
      this.#events.onBackendEnd(null);
      return;
    }
    if (!this.#complete) this.#cancel();
    this.#finish();
    this.#events.onBackendEnd(this.#received);
  }

  #onClose(stream: ClientHttp2Stream): void {
    const refused = stream.rstCode === NGHTTP2_REFUSED_STREAM && this.#phase === "head";
    const processed = stream.id !== undefined && this.session?.wasProcessed(stream.id) !== false;
    const detail = this.#detail || `the stream was closed with code ${stream.rstCode}`;
    this.fail(refused || !processed ? "unprocessed" : "broken", detail);
  }

  onSessionClosed(fault: Fault): void {
    if (this.#stream === null) this.fail(fault, "the connection was closed");
    // Its own stream knows more, and says it in a moment; but not after every breach of the rules by the backend.
    else setImmediate(outlive, this);
  }

  /** Its connection is closed. What is complete and only not read yet stays. */
  onOutlived(): void {
    const stream = this.#stream;
    if (stream === null || stream.closed || (this.#ended && this.#phase !== "half-closed")) return;
    this.#onClose(stream);
    stream.destroy();
  }

  onSweep(nowMs: number): void {
    const { responseHeadersMs } = this.request;
    const idleMs = this.#inTunnel ? this.request.tunnelIdleMs : this.request.idleMs;
    const silentMs = this.#wait.age(nowMs);
    if (this.#phase === "head") {
      const clientsTurn = !this.#complete && !this.#blocked;
      if (clientsTurn) this.#wait.begin();
      else if (silentMs >= responseHeadersMs)
        this.#give("headers-timeout", `nothing for ${responseHeadersMs} ms`);
    } else if (this.#phase === "body" && this.#paused) {
      this.#wait.begin();
    } else if (silentMs >= idleMs) {
      this.#give("idle-timeout", `nothing for ${idleMs} ms`);
    }
  }

  /** Gives the stream up. */
  #give(fault: Fault, detail: string): void {
    this.#cancel();
    this.fail(fault, detail);
  }

  failUnsendable(detail: string): void {
    if (this.#phase !== "over") this.#give("unsendable", detail);
  }

  fail(fault: Fault, detail: string): void {
    if (this.#phase === "over") return;
    const stale = fault === "broken" && this.#phase === "head" && this.#isFresh();
    this.#finish();
    this.#events.onBackendError(stale ? "stale" : fault, detail);
  }

  /** On a connection that was used before, and hardly sent: the backend may have closed it without reading this. */
  #isFresh(): boolean {
    return this.session?.reused === true && this.#wait.age(this.#owner.sweep.clock()) < STALE_WITHIN_MS;
  }

  #finish(): void {
    this.#phase = "over";
    this.#owner.onRequestOver();
    this.session?.onRequestOver(this);
  }
}

/**
 * In place of the stream's own: that one sends END_STREAM, also when the stream is closed or destroyed in the middle of
 * a request, which would then look whole.
 */
function withhold(done: (error?: Error | null) => void): void {
  done();
}

function finish(this: ClientHttp2Stream, done: (error?: Error | null) => void): void {
  Object.getPrototypeOf(this)._final.call(this, done);
}

function cancelNow(stream: ClientHttp2Stream): void {
  if (!stream.destroyed) stream.close(NGHTTP2_CANCEL);
}

const announce = (request: Http2Request): void => request.onReady();
const outlive = (request: Http2Request): void => request.onOutlived();
const failUnsent = (request: Http2Request): void => request.fail("unprocessed", "the connection was closed");
const failLater = (request: Http2Request, detail: string): void => request.failUnsendable(detail);

/** `:status` comes first (RFC 9113, 8.3), and Node has seen to it that it is one. */
const statusOf = (raw: readonly string[]): number => Number(raw[raw.indexOf(":status") + 1]);

function lengthOf(method: string, status: number, flags: number, fields: Fields): number {
  if (hasNoBody(method, status) || (flags & NGHTTP2_FLAG_END_STREAM) !== 0) return 0;
  const declared = fieldOf(fields, "content-length");
  return declared === undefined || !/^\d{1,15}$/.test(declared) ? Number.POSITIVE_INFINITY : Number(declared);
}
