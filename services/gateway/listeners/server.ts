// One node:http server with the bounds that keep slow, large and broken requests from holding it, and the connections
// that are open on it.
import { createServer, type Server, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { Connection, type Endpoint, type Handler } from "./connection.ts";

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

export type OnRefused = (status: number) => void;

export interface HttpServer {
  server: Server;
  connections: ReadonlyMap<Socket, Connection>;
}

/** @param onRefused told of each answer to what could not be parsed as a request */
export function createHttpServer(handle: Handler, endpoint: Endpoint, onRefused: OnRefused): HttpServer {
  const connections = new Map<Socket, Connection>();
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
    (request, response) => connections.get(request.socket)?.take(response),
  );
  server.maxHeadersCount = 0; // the size is the bound; before Node 26 a count drops headers silently
  server.maxConnections = MAX_CONNECTIONS;
  // Part of close(): Node would cut answers that have ended but still wait to be sent, and requests on their way.
  server.closeIdleConnections = () => {};
  server.on("connection", (socket: Socket) => {
    connections.set(socket, new Connection(socket, handle, endpoint));
    socket.on("close", () => connections.delete(socket));
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    const status = statusOf(error);
    const connection = connections.get(socket);
    if (!socket.writable || status === null || !connection) socket.destroy();
    else connection.onMalformed(status, () => refuse(socket, status, onRefused));
  });
  return { server, connections };
}

/** Null for a connection that broke or ended too early: there is nobody to answer. */
function statusOf({ code }: NodeJS.ErrnoException): number | null {
  if (code === "HPE_HEADER_OVERFLOW") return 431;
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return 408;
  if (code === "HPE_INVALID_EOF_STATE") return null;
  return code?.startsWith("HPE_") ? 400 : null;
}

function refuse(socket: Socket, status: number, onRefused: OnRefused): void {
  onRefused(status);
  socket.setTimeout(LINGER_MS);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}
