// One node:http server with the bounds that keep slow, large and broken requests from holding it.
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import type { Socket } from "node:net";

/** Request line and header section; past it 431. */
const MAX_HEADER_BYTES = 16 * 1024;
/** For the whole header section; past it 408. */
const HEADERS_TIMEOUT_MS = 10_000;
/** How often the line above is checked. */
const CHECK_INTERVAL_MS = 2_000;
/** A connection without a request is closed after this. */
const KEEP_ALIVE_MS = 75_000;
/** For a client to read why its request was refused. */
const LINGER_MS = 2_000;
/** Open connections of one listener; more are closed at once. */
const MAX_CONNECTIONS = 50_000;

export type OnRequest = (request: IncomingMessage, response: ServerResponse) => void;
export type OnRefused = (status: number) => void;

/** @param onRefused told of each answer to what could not be parsed as a request */
export function createHttpServer(onRequest: OnRequest, onRefused: OnRefused): Server {
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
      requestTimeout: 0, // an upload may take its time; the exchange bounds its silences
      keepAliveTimeout: KEEP_ALIVE_MS,
      requireHostHeader: false, // the target is checked with all its other faults
      optimizeEmptyRequests: true,
    },
    onRequest,
  );
  server.maxHeadersCount = 0; // the size is the bound; before Node 26 a count drops headers silently
  server.maxConnections = MAX_CONNECTIONS;
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    const status = statusOf(error);
    if (socket.writable && status !== null && !isAnswering(socket)) {
      onRefused(status);
      socket.setTimeout(LINGER_MS);
      socket.end(
        `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
      );
    } else {
      socket.destroy();
    }
  });
  return server;
}

/** Null for a connection that broke: there is nobody to answer. */
function statusOf(error: NodeJS.ErrnoException): number | null {
  if (error.code === "HPE_HEADER_OVERFLOW") return 431;
  if (error.code === "ERR_HTTP_REQUEST_TIMEOUT") return 408;
  return error.code?.startsWith("HPE_") ? 400 : null;
}

/** Whether an answer is under way, into which another must not be mixed. Node keeps it in `_httpMessage`. */
function isAnswering(socket: Socket): boolean {
  return Boolean((socket as Socket & { _httpMessage?: ServerResponse | null })._httpMessage);
}
