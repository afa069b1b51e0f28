// A backend of connections that stand still, as a program: it does what the request's x-bench field says. "download n": an
// answer of n bytes, as fast as they are taken. "stall": reads the head and no more. An upgrade is agreed to, and then
// nothing is said.
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { freePort } from "../../../libs/cli/supervisor/ports.ts";
import { listening, startPinned } from "./machine.ts";

const SWITCHED =
  "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const PIECE = Buffer.alloc(64 * 1024, "0123456789abcdef");
const NO_BODY = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

export async function startIdleBackend(cores: string): Promise<{ port: number; stop(): Promise<void> }> {
  const port = await freePort();
  const { stop } = startPinned(cores, process.execPath, [fileURLToPath(import.meta.url), String(port)]);
  await listening(port);
  return { port, stop };
}

function serve(socket: Socket): void {
  let text = "";
  socket.on("error", () => socket.destroy());
  socket.on("data", function read(chunk: Buffer) {
    text += chunk.toString("latin1");
    if (!text.includes("\r\n\r\n")) return;
    const [, what, bytes] = /\r\nx-bench: (\w+) ?(\d*)/i.exec(text) ?? [];
    const upgrade = /\r\nupgrade: websocket/i.test(text);
    text = "";
    if (what === "stall") {
      socket.off("data", read);
      socket.pause();
    } else if (what === "download") void download(socket, Number(bytes));
    else socket.write(upgrade ? SWITCHED : NO_BODY);
  });
}

async function download(socket: Socket, bytes: number): Promise<void> {
  socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes}\r\n\r\n`);
  for (let left = bytes; left > 0 && !socket.destroyed; left -= PIECE.length) {
    const room = socket.write(PIECE.subarray(0, Math.min(left, PIECE.length)));
    if (!room) await Promise.race([once(socket, "drain"), once(socket, "close")]).catch(() => {});
  }
}

if (import.meta.main) {
  createServer({ noDelay: true }, serve).listen(Number(process.argv[2]), "127.0.0.1");
  process.on("disconnect", () => process.exit(0));
}
