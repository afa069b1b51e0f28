// One client's HTTP/2 connection (RFC 9113): a session of node:http2, each stream of which is one request. Bounds what
// a client may make us hold and do; whatever it sends, the worst that happens is the end of its own connection.

import {
  constants,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import type { HttpLimits } from "@evenkeel/core/config/resolve-listeners.ts";
import type { ClientConnection } from "../messages/incoming.ts";
import type { HttpConnection, HttpServing } from "./http-connection.ts";
import { readHead } from "./http2-head.ts";
import { Http2Request, LOOKS_PER_IDLE, type StreamOwner } from "./http2-stream.ts";

const { NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_FLAG_END_STREAM, NGHTTP2_NO_ERROR } = constants;

/** Bytes of one request's body that may be under way without being read. */
const STREAM_WINDOW_BYTES = 128 * 1024;
/** The same for all requests of a connection. */
const CONNECTION_WINDOW_BYTES = 1024 * 1024;
/** Streams reset by the client: so many at once, and then so many each second; a browser that leaves a page stays below. */
const RESET_BURST = 200;
const RESETS_PER_SECOND = 20;
/** Streams that ended without a whole answer and not by our doing, less those that were answered. */
const MAX_PREMATURE = 400;
/** Frames that break a rule, or are empty and mean nothing. */
const MAX_INVALID_FRAMES = 200;
/** Streams opened beyond those allowed. */
const MAX_REJECTED_STREAMS = 100;
/** Entries of one SETTINGS frame. */
const MAX_SETTINGS = 32;
/**
 * Megabytes that node:http2 may hold for one connection before it takes no new stream: its tables, and for each stream
 * a chunk on its way out and a window on its way in.
 */
const SESSION_MEMORY_MB = 4;
const STREAM_MEMORY_MB = 0.25;
/** Bytes of a header section to send, compressed: an answer with more is reset, and its connection ends. */
const ANSWER_HEADER_BYTES = 256 * 1024;
/** For a client to close its side after ours. */
const LINGER_MS = 2_000;
/** Between, and before, the parts of an answer to a client that has closed its side: as in HTTP/1, else it is gone. */
const HALF_CLOSED_MS = 250;
/** Of GOAWAY: none of the streams so far, or to come until the next GOAWAY, is refused. */
const EVERY_STREAM = 2 ** 31 - 1;

/** @param socket connected and, with TLS, past its handshake. @param first bytes read from it already */
export function serveHttp2(
  socket: Socket,
  connection: ClientConnection,
  serving: HttpServing,
  first: Buffer | null,
): HttpConnection {
  if (first !== null) socket.unshift(first);
  return new Http2Connection(socket, connection, serving);
}

class Http2Connection implements HttpConnection, StreamOwner {
  readonly connection: ClientConnection;
  readonly limits: HttpLimits;
  readonly #socket: Socket;
  readonly #serving: HttpServing;
  readonly #session: ServerHttp2Session;
  readonly #open = new Set<Http2Request>();
  /** Since the last stream was closed. */
  readonly #idle: NodeJS.Timeout;
  #looking: NodeJS.Timeout | null = null;
  #linger: NodeJS.Timeout | null = null;
  #doubting: NodeJS.Timeout | undefined;
  #premature = 0;
  #noticed = false;
  #closing = false;

  constructor(socket: Socket, connection: ClientConnection, serving: HttpServing) {
    this.#socket = socket;
    this.connection = connection;
    this.limits = serving.limits;
    this.#serving = serving;
    const session = performServerHandshake(socket, sessionOptions(serving.limits)) as ServerHttp2Session;
    this.#session = session;
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    session.on("stream", (stream, _headers, flags, raw) => this.#onStream(stream, flags, raw));
    session.on("error", () => this.#close());
    session.on("frameError", () => this.#close());
    session.on("goaway", () => this.#close());
    // Not the session's own timeout: that one outlives the session.
    this.#idle = setTimeout(() => this.#onIdle(), serving.limits.keepAliveMs).unref();
    socket.on("end", () => this.#onEnd());
    socket.on("close", () => this.#onClose());
  }

  endWhenAnswered(): void {
    this.#notice();
    this.#close();
  }

  destroy(): void {
    this.#session.destroy();
    this.#socket.destroy();
  }

  #onStream(stream: ServerHttp2Stream, flags: number, raw: readonly string[]): void {
    stream.on("error", () => {}); // without a listener, that of a stream reset before it came here would end the process
    if (stream.closed || stream.destroyed) {
      stream.on("error", () => {}); // reset by what came with its header section, and perhaps with a fault
      this.#onPremature(true);
      return;
    }
    const ended = (flags & NGHTTP2_FLAG_END_STREAM) !== 0;
    const head = readHead(raw, ended, this.limits);
    if (typeof head === "number") {
      this.#refuse(stream, head);
      return;
    }
    const request = new Http2Request(stream, head, ended, this);
    this.#open.add(request);
    request.begin(this.#serving.handler);
  }

  #refuse(stream: ServerHttp2Stream, status: number): void {
    this.#serving.onRefused(status);
    stream.on("close", () => this.#onPremature(true));
    stream.resume();
    stream.respond({ ":status": status, "content-length": 0 }, { endStream: true });
    stream.close(NGHTTP2_NO_ERROR);
  }

  onAnswer(): void {
    if (this.connection.endpoint.closing) this.#notice();
  }

  /** Lets the client know to take another connection for what comes next; what is on its way is still served. */
  #notice(): void {
    if (this.#noticed || this.#session.destroyed) return;
    this.#noticed = true;
    this.#session.goaway(NGHTTP2_NO_ERROR, EVERY_STREAM);
  }

  onWaiting(): void {
    if (this.#socket.destroyed) return;
    this.#looking ??= setInterval(() => this.#look(), this.limits.clientIdleMs / LOOKS_PER_IDLE).unref();
  }

  #look(): void {
    for (const request of this.#open) request.look();
    if (this.#open.size === 0) this.#stopLooking();
  }

  #stopLooking(): void {
    if (this.#looking !== null) clearInterval(this.#looking);
    this.#looking = null;
  }

  onClosed(request: Http2Request, premature: boolean): void {
    this.#open.delete(request);
    this.#onPremature(premature);
    if (this.#open.size > 0) return;
    if (this.#closing) this.#awaitEnd();
    else if (this.#noticed) this.#close();
    else if (!this.#socket.destroyed) this.#idle.refresh();
  }

  #onPremature(premature: boolean): void {
    if (!premature) this.#premature = Math.max(0, this.#premature - 1);
    else if (++this.#premature > MAX_PREMATURE) {
      this.#session.destroy(new Error("too many streams were reset"), NGHTTP2_ENHANCE_YOUR_CALM);
    }
  }

  #onIdle(): void {
    if (this.#open.size === 0) this.endWhenAnswered();
  }

  /** Clients that are killed end like those that only have no more to ask. */
  #onEnd(): void {
    for (const request of this.#open) request.onConnectionEnd();
    this.#doubting = setInterval(() => {
      for (const request of this.#open) request.doubt();
    }, HALF_CLOSED_MS).unref();
    this.#close();
  }

  /** GOAWAY: streams that are open go on, others are refused as not processed; then the connection ends. */
  #close(): void {
    if (!this.#closing) {
      this.#closing = true;
      this.#session.close();
    }
    if (this.#open.size === 0) this.#awaitEnd();
  }

  /** node:http2 ends its side by itself, but would wait for the client's without a bound. */
  #awaitEnd(): void {
    if (this.#socket.destroyed) return;
    this.#linger ??= setTimeout(() => this.#socket.destroy(), LINGER_MS).unref();
  }

  #onClose(): void {
    clearTimeout(this.#idle);
    clearInterval(this.#doubting);
    if (this.#linger !== null) clearTimeout(this.#linger);
    this.#stopLooking();
  }
}

const sessionOptions = ({ headerBytes, headers, streams }: HttpLimits) => ({
  maxSessionMemory: Math.ceil(SESSION_MEMORY_MB + streams * STREAM_MEMORY_MB),
  maxSettings: MAX_SETTINGS,
  maxSessionInvalidFrames: MAX_INVALID_FRAMES,
  maxSessionRejectedStreams: MAX_REJECTED_STREAMS,
  streamResetBurst: RESET_BURST,
  streamResetRate: RESETS_PER_SECOND,
  // Room for a 431: past these the stream is reset without an answer.
  maxHeaderListPairs: 2 * headers + 5,
  maxSendHeaderBlockLength: ANSWER_HEADER_BYTES,
  strictSingleValueFields: false, // what a backend repeats is passed on
  settings: {
    enablePush: false,
    enableConnectProtocol: true,
    maxConcurrentStreams: streams,
    initialWindowSize: STREAM_WINDOW_BYTES,
    maxHeaderListSize: 2 * headerBytes,
  },
});
