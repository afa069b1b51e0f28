// The client's request body. A small one is read whole before a backend is picked: it can be sent again, and a slow
// client holds no place at a backend. A larger one streams: memory stays bounded, and it can be sent only once.
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import type { ClientWatch } from "./client-watch.ts";

/** Largest body that is read whole. */
export const REPLAYABLE_BYTES = 64 * 1024;
/** Held between client and backend while a body streams; on top of it are the sockets' own buffers. */
const STREAM_BUFFER_BYTES = 64 * 1024;
/** Longest that the rest of a body nobody wants is read and thrown away after the answer. */
const LINGER_MS = 5_000;

/** Bytes of the body: 0 for none, Infinity when only its end will tell; null when its framing is ambiguous. */
export function bodySize(request: IncomingMessage): number | null {
  const coding = request.headers["transfer-encoding"];
  if (coding === undefined) return Number(request.headers["content-length"] ?? 0);
  const understood = coding.toLowerCase() === "chunked" && request.httpVersionMinor >= 1;
  return understood ? Number.POSITIVE_INFINITY : null;
}

/** Reads a body of a known, small size. `done` is not called when the client goes away before its end. */
export function collectBody(
  request: IncomingMessage,
  client: ClientWatch,
  done: (body: Buffer) => void,
): void {
  const chunks: Buffer[] = [];
  client.mustSend(true);
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    client.mustSend(false);
    done(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
  });
}

/**
 * The body as a stream of its own: nothing is read from the client before someone reads it, and destroying it
 * leaves the client's request whole, so one that was never read can be replaced by another.
 */
export function streamBody(request: IncomingMessage, client: ClientWatch): Readable {
  let reading = false;
  const onData = (chunk: Buffer) => {
    if (body.push(chunk)) return;
    request.pause();
    client.mustSend(false);
  };
  const onEnd = () => {
    client.mustSend(false);
    body.push(null);
  };
  const body = new Readable({
    highWaterMark: STREAM_BUFFER_BYTES,
    read() {
      if (!reading) {
        reading = true;
        request.on("data", onData);
        request.on("end", onEnd);
      }
      client.mustSend(true);
      request.resume();
    },
    destroy(error, done) {
      if (reading) {
        request.off("data", onData);
        request.off("end", onEnd);
        request.pause();
        client.mustSend(false);
      }
      done(error);
    },
  });
  body.on("error", () => {}); // whoever sends the body reports its errors
  return body;
}

/**
 * After the answer: reads on, for a while, what the client still sends, so that it gets to read the answer: closing a
 * connection that has unread data resets it. A client that stops in time keeps its connection.
 */
export function discardRest(request: IncomingMessage): void {
  if (request.readableEnded || bodySize(request) === 0) return;
  const timer = setTimeout(() => request.socket.destroy(), LINGER_MS).unref();
  request.on("close", () => clearTimeout(timer));
  request.resume();
}
