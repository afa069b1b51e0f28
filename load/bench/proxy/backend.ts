// The backends of the benchmark, as cheap as can be, so that what is measured around them is the proxy. nginx where it is
// installed; for uploads, and where it is not, a bare socket server: run as a program it listens on the port of its first
// argument and answers every request with as many bytes as the second one says.
import { writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../../../libs/cli/supervisor/ports.ts";
import { isInstalled, listening, startPinned, temporaryDirectory } from "./machine.ts";

const HEAD_END = "\r\n\r\n";
/** A head that has not ended by then is not of our load. */
const HEAD_BYTES_MAX = 64 * 1024;

export interface Backend {
  port: number;
  /** For the report. */
  kind: string;
  stop(): Promise<void>;
}

export interface BackendTask {
  answerBytes: number;
  /** Requests have bodies: nginx would answer before it has read them, which no proxy likes. */
  uploads: boolean;
}

export async function startBackend({ answerBytes, uploads }: BackendTask, cores: string): Promise<Backend> {
  const port = await freePort();
  if (uploads || !isInstalled("nginx")) {
    const own = startPinned(cores, process.execPath, [
      fileURLToPath(import.meta.url),
      String(port),
      String(answerBytes),
    ]);
    await listening(port);
    return { port, kind: "a bare socket server in Node", stop: own.stop };
  }
  const directory = temporaryDirectory();
  writeFileSync(join(directory.path, "answer"), body(answerBytes));
  const config = join(directory.path, "nginx.conf");
  writeFileSync(config, nginxConfig(directory.path, port, answerBytes));
  const nginx = startPinned(cores, "nginx", ["-p", directory.path, "-c", config]);
  await listening(port);
  const stop = async () => {
    await nginx.stop();
    directory.remove();
  };
  return { port, kind: "nginx", stop };
}

const SMALL_BYTES = 1_024;

const nginxConfig = (directory: string, port: number, bytes: number): string => `
worker_processes 1;
daemon off;
pid ${directory}/nginx.pid;
error_log stderr warn;
events { worker_connections 8192; }
http {
  access_log off;
  keepalive_requests 1000000000;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=10;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { ${bytes <= SMALL_BYTES ? `return 200 "${body(bytes)}";` : `root ${directory}; rewrite ^ /answer break;`} }
  }
}
`;

const body = (bytes: number): string => "hello world.".repeat(Math.ceil(bytes / 12)).slice(0, bytes);

/** Reads heads only as far as it must: where they end, and how long the body is that follows. */
function serve(socket: Socket, answer: Buffer): void {
  let head = "";
  let bodyBytes = 0;
  socket.on("data", (chunk: Buffer) => {
    let at = 0;
    while (at < chunk.length) {
      if (bodyBytes > 0) {
        const taken = Math.min(bodyBytes, chunk.length - at);
        at += taken;
        bodyBytes -= taken;
        if (bodyBytes === 0) socket.write(answer);
        continue;
      }
      const before = head.length;
      head += chunk.toString("latin1", at);
      const end = head.indexOf(HEAD_END, Math.max(0, before - HEAD_END.length));
      if (end < 0) {
        if (head.length > HEAD_BYTES_MAX) socket.destroy();
        return;
      }
      at += end + HEAD_END.length - before;
      bodyBytes = Number(/\ncontent-length: *(\d+)/i.exec(head.slice(0, end))?.[1] ?? 0);
      head = "";
      if (bodyBytes === 0) socket.write(answer);
    }
  });
  socket.on("error", () => socket.destroy());
}

if (import.meta.main) {
  const [port, bytes] = process.argv.slice(2).map(Number);
  const content = body(bytes as number);
  const head = `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${content.length}${HEAD_END}`;
  const answer = Buffer.from(head + content, "latin1");
  createServer({ noDelay: true }, (socket) => serve(socket, answer)).listen(port, "127.0.0.1");
  process.on("disconnect", () => process.exit(0));
}
