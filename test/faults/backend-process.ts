// One backend, in a process of its own: says who it is, tells the harness of every POST that it carries out, and is as
// it is told to be.
import { createServer } from "node:http";
import type { Socket } from "node:net";

export type BackendMode = "ok" | "fail" | "refuse";

/** Longer than a gateway keeps an idle connection, so that this side never closes one that is about to be used. */
const KEEP_ALIVE_MS = 120_000;

const { BACKEND_PORT = "0" } = process.env;
const port = Number(BACKEND_PORT);
const sockets = new Set<Socket>();
let mode: BackendMode = "ok";

const server = createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://backend");
    if (request.method === "POST") process.send?.({ executed: searchParams.get("id") });
    response.statusCode = mode === "fail" ? 500 : 200;
    const delayMs = pathname === "/healthz" ? 0 : Number(searchParams.get("delay") ?? 0);
    if (delayMs === 0) response.end("ok\n");
    else setTimeout(() => response.end("ok\n"), delayMs);
  });
});
server.keepAliveTimeout = KEEP_ALIVE_MS;
server.on("connection", (socket) => {
  sockets.add(socket);
  socket.on("close", () => sockets.delete(socket));
});
const listen = (done: () => void) => server.listen(port, "127.0.0.1", done);

process.on("message", (message) => {
  const before = mode;
  mode = (message as { mode: BackendMode }).mode;
  const told = () => process.send?.({ mode });
  if (mode === "refuse") {
    server.close();
    for (const socket of sockets) socket.resetAndDestroy();
    told();
  } else if (before === "refuse") listen(told);
  else told();
});
process.on("disconnect", () => process.exit(0));

listen(() => process.send?.({ ready: true }));
