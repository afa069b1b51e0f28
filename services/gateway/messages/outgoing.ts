// The backend's side of one attempt: a request on its way, and what comes back. One contract for HTTP/1 and HTTP/2.
import type { Fields } from "./fields.ts";
import type { ResponseHead } from "./message.ts";

/** An IP address and a port, and where the client believed to connect to. */
export interface ClientAddress {
  address: string;
  port: number;
  destination: { address: string; port: number };
}

export interface OutgoingRequest {
  method: string;
  /** Path and query. */
  target: string;
  /** For Host or `:authority`. */
  authority: string;
  scheme: "http" | "https";
  /** End-to-end fields only: neither Host nor framing nor anything of this hop. */
  fields: Fields;
  /** All of it, when it is at hand; goes out with the header section. */
  body: Buffer | null;
  /** Bytes; 0: no body; Infinity: chunked. With `body`, its length. */
  bodyLength: number;
  /** The protocol to switch to; null: none. */
  upgrade: string | null;
  /** Not over a connection that has been used before: one of those has just turned out to be closed. */
  fresh: boolean;
  /** Named in the PROXY protocol where the pool sends it; null: not known. */
  client: ClientAddress | null;
  /** From all of the request sent, or the last byte of it for a stream, to the answer's header section, interim answers included. */
  responseHeadersMs: number;
  /** Longest silence inside the answer's body, while we are ready to read. */
  idleMs: number;
  /** Longest silence of both sides of a tunnel. */
  tunnelIdleMs: number;
}

/** Why an attempt has failed: keys of the table in proxy/failure.ts. */
export type Fault =
  /** Not connected: refused, unresolved name, unreachable, not in time, TLS not agreed or certificate not verified. */
  | "refused"
  | "unresolved"
  | "unreachable"
  | "connect-timeout"
  | "tls"
  /** Connected, then closed or reset before the end of the answer. */
  | "broken"
  /** HTTP/2: the backend says that it has not processed the request (REFUSED_STREAM, GOAWAY): as if never sent. */
  | "unprocessed"
  /** An idle connection that was closed before one byte of an answer: nothing says that the request was read. */
  | "stale"
  | "headers-timeout"
  | "idle-timeout"
  /** What came is not valid. */
  | "invalid-answer"
  /** This process cannot open another connection. */
  | "exhausted"
  /** The request holds what the backend's protocol has no way to say. Nothing was sent; no backend would take it. */
  | "unsendable"
  /** The configuration dropped the origin between the pick and the attempt. */
  | "dropped";

/**
 * Nothing of this is called before `send` has returned, nor after `onBackendEnd`, `onBackendError` or `abort`; but a
 * tunnel that the backend has ended can still drain, or fail, until it is ended or aborted from this side.
 */
export interface BackendEvents {
  /** The header section was written: the body may follow. Only where the body is not part of the request. */
  onBackendReady(): void;
  /** 102 to 199; an unasked 100 is dropped before it comes here. */
  onBackendInterim(status: number, fields: Fields): void;
  /** Once. With `tunnel` the backend has switched to the protocol that was asked for. */
  onBackendHead(head: ResponseHead): void;
  /** The chunk belongs to the receiver; one that was passed on to a `write` is not to be used any more. */
  onBackendData(chunk: Buffer): void;
  /** For now no more is at hand: what was held back may go out. */
  onBackendFlush(): void;
  /** The answer is complete and known to be so. In a tunnel: the backend sends no more. */
  onBackendEnd(trailers: Fields | null): void;
  /** What was written has gone out; more is welcome. */
  onBackendDrain(): void;
  /** @param detail for the log, never for the client */
  onBackendError(fault: Fault, detail: string): void;
}

export interface Outgoing {
  /** Bytes of the request may have reached the backend. */
  readonly sent: boolean;
  /** A part of the body or of the tunnel. False: hold on until `onBackendDrain`. */
  write(chunk: Buffer): boolean;
  /** The body is complete. In a tunnel: the client sends no more. */
  end(trailers: Fields | null): void;
  /** Of the answer. */
  pause(): void;
  resume(): void;
  /** Nobody waits for the answer any more; in HTTP/1 the connection is closed with it. */
  abort(): void;
}

export interface Origin {
  /** Null: as many requests as allowed are open already. */
  send(request: OutgoingRequest, events: BackendEvents): Outgoing | null;
}
