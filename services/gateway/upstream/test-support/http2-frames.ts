// For tests: a backend that speaks HTTP/2 frame by frame, so that it can be rude in ways that no library is.
import type { Socket } from "node:net";
import { type RawBackend, startRaw } from "./world.ts";

export const DATA = 0;
export const HEADERS = 1;
export const RST_STREAM = 3;
const SETTINGS = 4;
export const GOAWAY = 7;
const WINDOW_UPDATE = 8;
export const END_STREAM = 1;
const ACK = 1;
export const END_HEADERS = 4;
const FRAME_HEAD_BYTES = 9;
const PREFACE_BYTES = 24;

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const u32 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, 4 * i);
  return bytes;
};

/** `:status: 200`, by its place in the static table of HPACK. */
const STATUS_200 = Buffer.from([0x88]);

/** … and `content-length: 3`, spelled out. */
const STATUS_200_LENGTH_3 = Buffer.from([0x88, 0x0f, 0x0d, 1, 0x33]);

export const headersOfThree = (stream: number): Buffer =>
  frame(HEADERS, END_HEADERS, stream, STATUS_200_LENGTH_3);
export const headers = (stream: number, end = false): Buffer =>
  frame(HEADERS, END_HEADERS | (end ? END_STREAM : 0), stream, STATUS_200);
export const data = (stream: number, text: string, end = false): Buffer =>
  frame(DATA, end ? END_STREAM : 0, stream, Buffer.from(text));
export const reset = (stream: number, code: number): Buffer => frame(RST_STREAM, 0, stream, u32(code));
export const goAway = (lastStream: number, code: number): Buffer =>
  frame(GOAWAY, 0, 0, u32(lastStream, code));
export const settings = (...pairs: [id: number, value: number][]): Buffer =>
  frame(
    SETTINGS,
    0,
    0,
    Buffer.concat(
      pairs.map(([id, value]) => {
        const pair = Buffer.alloc(6);
        pair.writeUInt16BE(id, 0);
        pair.writeUInt32BE(value, 2);
        return pair;
      }),
    ),
  );

/** Lets the other side send more; stream 0: on all streams together. */
export const windowUpdate = (stream: number, bytes: number): Buffer =>
  frame(WINDOW_UPDATE, 0, stream, u32(bytes));

export interface Frame {
  type: number;
  flags: number;
  stream: number;
  payload: Buffer;
}

/** Says its settings, and calls back for each header section that comes. @param onFrame called with every frame */
export const startFrames = (
  onRequest: (socket: Socket, stream: number) => void,
  own: Buffer = settings(),
  onFrame: (frame: Frame) => void = () => {},
): Promise<RawBackend> =>
  startRaw((socket) => {
    socket.write(own);
    let held = Buffer.alloc(0);
    let skip = PREFACE_BYTES;
    let last = 0;
    socket.on("data", (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      if (held.length < skip) return;
      held = held.subarray(skip);
      skip = 0;
      while (held.length >= FRAME_HEAD_BYTES) {
        const end = FRAME_HEAD_BYTES + held.readUIntBE(0, 3);
        if (held.length < end) return;
        const [type = 0, flags = 0, stream] = [held[3], held[4], held.readUInt32BE(5)];
        onFrame({ type, flags, stream, payload: held.subarray(FRAME_HEAD_BYTES, end) });
        held = held.subarray(end);
        if (type === SETTINGS && !(flags & ACK)) socket.write(frame(SETTINGS, ACK, 0));
        if (type === HEADERS && stream > last) {
          last = stream; // a second header section of a stream is trailers
          onRequest(socket, stream);
        }
      }
    });
  });
