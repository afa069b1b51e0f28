// For tests of HTTP/2: a bare server with a handler of the test's.
import { type AddressInfo, createServer, type Socket } from "node:net";
import { DEFAULT_HTTP_LIMITS, type HttpLimits } from "@evenkeel/core/config/resolve-listeners.ts";
import { onTestFinished } from "vitest";
import type { HttpConnection } from "../listeners/http-connection.ts";
import { serveHttp2 } from "../listeners/http2-connection.ts";
import type { Handler } from "../messages/incoming.ts";
import { type Seen, watchRequest } from "./http-listener.ts";

export interface TestServer {
  port: number;
  requests: Seen[];
  connections: HttpConnection[];
  sockets: Socket[];
  refused: number[];
  endpoint: { name: string; closing: boolean };
}

export async function startHttp2(
  handle: (seen: Seen) => void,
  limits: Partial<HttpLimits> = {},
): Promise<TestServer> {
  const test: TestServer = {
    port: 0,
    requests: [],
    connections: [],
    sockets: [],
    refused: [],
    endpoint: { name: "web", closing: false },
  };
  const handler: Handler = (incoming) => {
    const seen = watchRequest(incoming);
    test.requests.push(seen);
    handle(seen);
    return seen;
  };
  const serving = {
    handler,
    limits: { ...DEFAULT_HTTP_LIMITS, ...limits },
    onRefused: (status: number) => void test.refused.push(status),
  };
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on("error", () => {});
    test.sockets.push(socket);
    const { endpoint } = test;
    const local = { localAddress: "127.0.0.1", localPort: socket.localPort ?? 0 };
    const connection = { endpoint, ...local, peer: "127.0.0.1", peerPort: 0, tls: null };
    test.connections.push(serveHttp2(socket, connection, serving, null));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  test.port = (server.address() as AddressInfo).port;
  onTestFinished(() => {
    for (const socket of test.sockets) socket.destroy();
    server.close();
  });
  return test;
}

/** The header section of an answer with status 200. */
export const headOf = (bodyLength: number, fields: string[] = []) => ({
  ...{ status: 200, reason: "", tunnel: false },
  ...{ bodyLength, fields },
});
