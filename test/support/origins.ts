// Backends in the test's own process, of any protocol: on a port of their own, and gone at once when they are ended.
import type { Server as HttpServer } from "node:http";
import type { Http2Server } from "node:http2";
import type { AddressInfo, Server, Socket } from "node:net";

export interface Origin {
  port: number;
  /** Connections that are open. */
  sockets: ReadonlySet<Socket>;
  /** Cuts all connections; new ones are refused. */
  kill(): Promise<void>;
  /** On the same port, after `kill`. */
  restart(): Promise<void>;
}

export async function openOrigin(server: Server | HttpServer | Http2Server): Promise<Origin> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {}); // tests cut connections
    socket.on("close", () => sockets.delete(socket));
  });
  const listen = (port: number) =>
    new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", () => {
        server.off("error", reject);
        resolve();
      });
    });
  await listen(0);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    sockets,
    kill: () =>
      new Promise((resolve) => {
        if (!server.listening) return resolve();
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
    restart: () => listen(port),
  };
}
