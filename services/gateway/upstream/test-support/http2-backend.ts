// For tests: backends of Node's own HTTP/2, and a pool that speaks it.
import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
  type Settings,
} from "node:http2";
import type { Server } from "node:net";
import type { PoolDocument } from "@evenkeel/core/config/schema.ts";
import { listenOn, onCleanup, type World, worldOf } from "./world.ts";

export type OnStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: string[]) => void;

export interface Http2Backend {
  url: string;
  sessions: number;
  open: number;
}

/** @param server not listening yet */
export async function listenHttp2(
  server: Http2Server,
  scheme: string,
  onStream: OnStream,
): Promise<Http2Backend> {
  const backend = { url: "", sessions: 0, open: 0 };
  server.on("session", (session) => {
    backend.sessions += 1;
    backend.open += 1;
    session.on("error", () => {});
    session.on("close", () => {
      backend.open -= 1;
    });
    onCleanup(() => session.destroy());
  });
  server.on("stream", (stream, received, _flags, raw) => {
    stream.on("error", () => {});
    onStream(stream as ServerHttp2Stream, received, raw as unknown as string[]);
  });
  backend.url = `${scheme}://127.0.0.1:${await listenOn(server as unknown as Server)}`;
  return backend;
}

/** In plain text. */
export const h2c = (onStream: OnStream, own: Settings = {}): Promise<Http2Backend> =>
  listenHttp2(createServer({ settings: own }), "http", onStream);

/** One pool with this backend, spoken to in HTTP/2. */
export const over2 = (url: string, more: Partial<PoolDocument> = {}): World =>
  worldOf(url, { http: "2", ...more });

export const ok: OnStream = (stream) => {
  stream.respond({ ":status": 200 });
  stream.end("ok");
};
