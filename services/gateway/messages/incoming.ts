// The client's side of one request: what a connection offers to whoever serves a request, and what it tells them. One
// contract for HTTP/1 and HTTP/2, so that nothing behind it knows which one it is.
import type { Fields } from "./fields.ts";
import type { RequestHead, ResponseHead } from "./message.ts";

/** What a request can know of the listener it came through. */
export interface Endpoint {
  readonly name: string;
  /** Answers should end their connection. */
  readonly closing: boolean;
}

/** Verified by the listener; fields that a certificate does not have are empty. */
export interface ClientCertificate {
  /** RFC 4514, such as CN=alice,O=Example */
  subject: string;
  /** Subject alternative names as OpenSSL writes them, such as DNS:a.example, URI:spiffe://… */
  names: string;
  /** SHA-256, lower-case hexadecimal. */
  fingerprint: string;
}

export interface ClientTls {
  /** SNI; null: none was sent. */
  servername: string | null;
  /** Null: none was asked for or sent. */
  certificate: ClientCertificate | null;
}

export interface ClientConnection {
  readonly endpoint: Endpoint;
  /** Address of the peer, without prefix of mapped addresses and without zone; or what the PROXY protocol said. */
  readonly peer: string;
  readonly peerPort: number;
  /** What the peer has connected to, or what the PROXY protocol said of it. */
  readonly localAddress: string;
  readonly localPort: number;
  /** Null: plain text. */
  readonly tls: ClientTls | null;
}

/**
 * One request being served. Exactly one answer: `sendHead`, any `write`, `end`; or `abort`. Calls after `end`, `abort`
 * or `onClientGone` do nothing.
 */
export interface Incoming {
  readonly head: RequestHead;
  readonly connection: ClientConnection;
  /**
   * Lets the body come, as `onClientData` … `onClientEnd`; until then next to nothing of it is read. The first call
   * also answers `Expect: 100-continue`. Silence of the client while it is to send is bounded by the connection.
   */
  read(): void;
  /** A chunk may still come. `read` goes on. */
  pauseReading(): void;
  /** 1xx, but neither 100 nor 101. Dropped where the client's protocol version has none. */
  sendInterim(status: number, fields: Fields): void;
  /** Held back until `write`, `flush` or `end`, so that it goes out with the first bytes of the body. */
  sendHead(head: ResponseHead): void;
  /** The chunk is not copied and must not change. False: hold on until `onClientDrain`. */
  write(chunk: Buffer): boolean;
  /** What was held back goes out. */
  flush(): void;
  /** The answer is complete. What is left of the request's body is read and dropped, for a bounded while. */
  end(trailers: Fields | null): void;
  /** Cuts the answer off so that nobody can take what has come of it for the whole. */
  abort(): void;
}

/** Whoever serves the request. Nothing is called after `end`, `abort`, `onClientGone` or `onClientFault`. */
export interface ClientEvents {
  /** The chunk belongs to the receiver; one that was passed on to a `write` is not to be used any more. */
  onClientData(chunk: Buffer): void;
  /** @param trailers those of the request; null: none */
  onClientEnd(trailers: Fields | null): void;
  /** What was written has gone out; more is welcome. */
  onClientDrain(): void;
  /** The connection or stream is closed, or cut because the client read or sent nothing for too long. */
  onClientGone(reason: string): void;
  /** The rest of the body cannot be understood, is too slow or too large: an answer of that status may still be sent. */
  onClientFault(status: number, reason: string): void;
}

/** Called once for each request. May answer before it returns. */
export type Handler = (incoming: Incoming) => ClientEvents;
