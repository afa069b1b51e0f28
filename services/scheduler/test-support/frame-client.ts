// The gateway's end of a connection for settles, to be played by a test.
import { once } from "node:events";
import { request } from "node:http";
import type { Socket } from "node:net";
import {
  ANSWER_BYTES_MAX,
  createFrameReader,
  encodeFrame,
  type Frame,
  KIND,
  type Kind,
  SETTLE_PATH,
  SETTLE_PROTOCOL,
} from "@evenkeel/core/wire/frames.ts";
import { expect } from "vitest";

const WAIT_MS = 5_000;

export interface FrameClient {
  readonly socket: Socket;
  /** Received, in order. */
  readonly frames: Frame[];
  /** The other side has ended. */
  readonly ended: Promise<unknown>;
  send(kind: Kind, id: number, text: string): void;
  /** Sends one; the answer or the refusal to it. */
  // biome-ignore lint/suspicious/noExplicitAny: answers are what the tests are about
  settle(pool: string, body: unknown): Promise<{ kind: Kind; body: any }>;
  frame(matches: (frame: Frame) => boolean): Promise<Frame>;
}

/** @throws when the scheduler does not upgrade */
export async function openFrames(port: number): Promise<FrameClient> {
  const headers = { connection: "Upgrade", upgrade: SETTLE_PROTOCOL };
  const upgrade = request({ host: "127.0.0.1", port, path: SETTLE_PATH, headers, agent: false }).end();
  const [, socket, head] = (await once(upgrade, "upgrade")) as [unknown, Socket, Buffer];
  const frames: Frame[] = [];
  const reader = createFrameReader(ANSWER_BYTES_MAX, (frame) => frames.push(frame));
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => reader.push(chunk));
  if (head.length > 0) socket.unshift(head);
  let lastId = 0;

  const send = (kind: Kind, id: number, text: string) => void socket.write(encodeFrame(kind, id, text));
  const frame = async (matches: (frame: Frame) => boolean): Promise<Frame> => {
    await expect.poll(() => frames.some(matches), { timeout: WAIT_MS, interval: 5 }).toBe(true);
    return frames.find(matches) as Frame;
  };
  return {
    socket,
    frames,
    ended: once(socket, "close"),
    send,
    frame,
    async settle(pool, body) {
      lastId += 1;
      const id = lastId;
      send(KIND.settle, id, `${pool}\n${typeof body === "string" ? body : JSON.stringify(body)}`);
      const { kind, text } = await frame((one) => one.id === id);
      return { kind, body: JSON.parse(text) };
    },
  };
}
