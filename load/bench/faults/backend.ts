// A backend that misbehaves on demand, lean enough for eight of them beside what is measured. Arguments: its number, its
// port (0: the system chooses), its time of service in ms. Told over IPC how to behave, it says when it began to.
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";

/**
 * `errors`: 500 to everything. `slow`: ten times its time of service. `refusing`: listens no more, and ends its connections
 * with their present answers. `resetting`: a header section and half of the body, then a reset. `unwell`: 503 to probes alone.
 */
export type Behaviour = "well" | "errors" | "slow" | "refusing" | "resetting" | "unwell";

/** What it says over IPC: it listens, or behaves so from now on. */
export interface Said {
  port: number;
  atMs: number;
}

const HEAD_END = "\r\n\r\n";
const BODY = Buffer.alloc(1_024, "x");
const HEADERS = `content-type: text/plain\r\ncontent-length: ${BODY.length}\r\n`;
const SLOWNESS = 10;
const PROBE_MS = 1;
/** Until the reset, so that the half before it has been passed on, ms. */
const RESET_AFTER_MS = 5;

const [, , name, wantedPort, serviceMs] = process.argv;
let behaviour: Behaviour = "well";
let port = Number(wantedPort);
/** Connection → requests under way on it. */
const connections = new Map<Socket, number>();

const server = createServer({ noDelay: true }, (socket) => {
  let rest = "";
  connections.set(socket, 0);
  socket.on("data", (chunk) => {
    const heads = (rest + chunk.toString("latin1")).split(HEAD_END);
    rest = heads.pop() as string;
    for (const head of heads) take(socket, head);
  });
  socket.on("error", () => socket.destroy());
  socket.on("close", () => connections.delete(socket));
});

function take(socket: Socket, head: string): void {
  connections.set(socket, (connections.get(socket) ?? 0) + 1);
  const probe = head.startsWith("GET /healthz ");
  const ms = probe ? PROBE_MS : Number(serviceMs);
  setTimeout(answer, behaviour === "slow" ? ms * SLOWNESS : ms, socket, probe);
}

function answer(socket: Socket, probe: boolean): void {
  if (socket.destroyed) return;
  connections.set(socket, (connections.get(socket) ?? 1) - 1);
  if (behaviour === "resetting") {
    socket.write(`HTTP/1.1 200 OK\r\n${HEADERS}\r\n`);
    socket.write(BODY.subarray(0, BODY.length / 2));
    setTimeout(() => socket.resetAndDestroy(), RESET_AFTER_MS);
    return;
  }
  const close = behaviour === "refusing" ? "connection: close\r\n" : "";
  socket.write(`HTTP/1.1 ${statusTo(probe)}\r\n${HEADERS}x-backend: ${name}\r\n${close}\r\n`);
  socket.write(BODY);
  if (behaviour === "refusing") socket.end();
}

function statusTo(probe: boolean): string {
  if (behaviour === "errors") return "500 Internal Server Error";
  return behaviour === "unwell" && probe ? "503 Service Unavailable" : "200 OK";
}

async function listen(): Promise<void> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  port = (server.address() as AddressInfo).port;
}

const say = () => process.send?.({ port, atMs: performance.timeOrigin + performance.now() } satisfies Said);

process.on("message", async (next: Behaviour) => {
  const listened = server.listening;
  behaviour = next;
  if (next === "refusing" && listened) {
    server.close();
    for (const [socket, underWay] of connections) if (underWay === 0) socket.destroy();
  }
  if (next !== "refusing" && !listened) await listen();
  say();
});
process.on("disconnect", () => process.exit(0));
await listen();
say();
