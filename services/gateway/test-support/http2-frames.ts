// HTTP/2 frame by frame, for tests that send what no client library would: writes any frame with any content, and reads
// what comes back as far as a test needs it.
import { connect, type Socket } from "node:net";

export const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const;

export const FLAG = { endStream: 1, ack: 1, endHeaders: 4, padded: 8 } as const;

const HEAD_BYTES = 9;
const EMPTY = Buffer.alloc(0);

export function frame(type: number, flags: number, stream: number, payload: Buffer = EMPTY): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** @param pairs of identifier and value */
export const settings = (...pairs: readonly (readonly [id: number, value: number])[]): Buffer =>
  frame(
    TYPE.settings,
    0,
    0,
    Buffer.concat(
      pairs.map(([id, value]) => {
        const one = Buffer.alloc(6);
        one.writeUInt16BE(id, 0);
        one.writeUInt32BE(value, 2);
        return one;
      }),
    ),
  );

export const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

export type HeaderList = readonly (readonly [name: string, value: string])[];

/** Each field as a literal that is not kept, with its name in full and without Huffman code (RFC 7541, 6.2.2). */
export const headerBlock = (list: HeaderList): Buffer =>
  Buffer.concat(list.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));

/** Kept in the decoder's table, where the next block finds it as number 62. */
export const keptField = (name: string, value: string): Buffer =>
  Buffer.concat([Buffer.from([0x40]), text(name), text(value)]);

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "latin1");
  return Buffer.concat([integer(bytes.length), bytes]);
}

/** With a prefix of seven bits (RFC 7541, 5.1). */
function integer(value: number): Buffer {
  if (value < 127) return Buffer.from([value]);
  const bytes = [127];
  let rest = value - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

export const get = (path: string, ...more: HeaderList): HeaderList => [
  [":method", "GET"],
  [":scheme", "http"],
  [":authority", "shop.example"],
  [":path", path],
  ...more,
];

export const post = (path: string, ...more: HeaderList): HeaderList => [
  [":method", "POST"],
  ...get(path, ...more).slice(1),
];

/** A request whose header section is one frame. */
export const request = (stream: number, list: HeaderList, ended = true): Buffer =>
  frame(TYPE.headers, FLAG.endHeaders | (ended ? FLAG.endStream : 0), stream, headerBlock(list));

export interface Frame {
  type: number;
  flags: number;
  stream: number;
  payload: Buffer;
}

export interface RawHttp2 {
  socket: Socket;
  frames: Frame[];
  closed(): boolean;
  /** Writes as far as the connection takes it; the rest is dropped when it closes. */
  flood(pieces: Iterable<Buffer>): Promise<void>;
  /** Of the answer on that stream; undefined while there is none. */
  status(stream: number): number | undefined;
  /** The code of RST_STREAM; undefined while there is none. */
  reset(stream: number): number | undefined;
  goaway(): boolean;
}

/** Sets the server's header table to nothing, so that statuses can be read without keeping one. */
const OWN_SETTINGS = settings([1, 0]);

/** @param hello in place of preface and settings */
export function openHttp2(
  port: number,
  hello = Buffer.concat([Buffer.from(PREFACE), OWN_SETTINGS]),
): RawHttp2 {
  const socket = connect(port, "127.0.0.1");
  const frames: Frame[] = [];
  let held: Buffer = EMPTY;
  let closed = false;
  socket.on("error", () => {});
  socket.on("close", () => {
    closed = true;
  });
  socket.on("data", (chunk: Buffer) => {
    held = readFrames(Buffer.concat([held, chunk]), frames);
  });
  socket.write(hello);
  const of = (type: number, stream: number) =>
    frames.find((one) => one.type === type && one.stream === stream)?.payload;
  return {
    socket,
    frames,
    closed: () => closed,
    async flood(pieces) {
      for (const piece of pieces) {
        if (closed || socket.destroyed) return;
        if (!socket.write(piece)) await drained(socket);
      }
    },
    status(stream) {
      const block = of(TYPE.headers, stream);
      return block === undefined ? undefined : statusOf(block);
    },
    reset: (stream) => of(TYPE.reset, stream)?.readUInt32BE(0),
    goaway: () => of(TYPE.goaway, 0) !== undefined,
  };
}

const drained = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    const over = () => {
      socket.off("drain", over);
      socket.off("close", over);
      resolve();
    };
    socket.on("drain", over);
    socket.on("close", over);
  });

/** @returns what does not make a whole frame yet */
function readFrames(bytes: Buffer, frames: Frame[]): Buffer {
  let at = 0;
  while (bytes.length - at >= HEAD_BYTES) {
    const length = bytes.readUIntBE(at, 3);
    const end = at + HEAD_BYTES + length;
    if (end > bytes.length) break;
    const stream = bytes.readUInt32BE(at + 5) & 0x7fffffff;
    const payload = bytes.subarray(at + HEAD_BYTES, end);
    frames.push({ type: bytes[at + 3] as number, flags: bytes[at + 4] as number, stream, payload });
    at = end;
  }
  return bytes.subarray(at);
}

/** Statuses that have a number in the static table (RFC 7541, appendix A). */
const INDEXED = [200, 204, 206, 304, 400, 404, 500];
const FIRST_INDEXED = 8;
const HUFFMAN = [
  "00000",
  "00001",
  "00010",
  "011001",
  "011010",
  "011011",
  "011100",
  "011101",
  "011110",
  "011111",
];

/** :status comes first. NaN where it is written in a way that is not looked for here. */
function statusOf(block: Buffer): number {
  let at = 0;
  while (((block[at] as number) & 0xe0) === 0x20) at += sizeUpdateLength(block, at);
  const first = block[at] as number;
  if (first & 0x80) return INDEXED[(first & 0x7f) - FIRST_INDEXED] ?? Number.NaN;
  const named = first & 0x40 ? first & 0x3f : first & 0x0f;
  if (named < FIRST_INDEXED || named > 14) return Number.NaN;
  const length = (block[at + 1] as number) & 0x7f;
  const value = block.subarray(at + 2, at + 2 + length);
  if (((block[at + 1] as number) & 0x80) === 0) return Number(value.toString());
  let bits = [...value].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  let digits = "";
  while (digits.length < 3) {
    const digit = HUFFMAN.findIndex((code) => bits.startsWith(code));
    if (digit < 0) return Number.NaN;
    digits += digit;
    bits = bits.slice((HUFFMAN[digit] as string).length);
  }
  return Number(digits);
}

function sizeUpdateLength(block: Buffer, at: number): number {
  if (((block[at] as number) & 0x1f) !== 0x1f) return 1;
  let length = 2;
  while ((block[at + length - 1] as number) & 0x80) length += 1;
  return length;
}
