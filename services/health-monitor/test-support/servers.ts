// Servers that probes meet in tests: whatever was opened is closed by `closeAll`, with its connections.
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

const opened: { server: Server; sockets: Set<Socket> }[] = [];

/** On a free port of 127.0.0.1. */
export async function listen(server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  opened.push({ server, sockets });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export const http = (handler: RequestListener) => listen(createHttpServer(handler));
export const tcp = (onSocket: (socket: Socket) => void = () => {}) => listen(createServer(onSocket));

/** Where nothing listens. */
export async function refusedUrl(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

/** Connections that are open now, over all servers. */
export const openConnections = (): number => opened.reduce((sum, { sockets }) => sum + sockets.size, 0);

export async function closeAll(): Promise<void> {
  for (const { server, sockets } of opened.splice(0)) {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}
