// For tests of HTTP/2: a client, and one that sends and shows single frames.
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { onTestFinished, vi } from "vitest";

/** Waits for a condition, with a bound. */
export const until = (condition: () => boolean) => vi.waitUntil(condition, { timeout: 5_000, interval: 2 });

export function http2Client(port: number): ClientHttp2Session {
  // What a test sends at once counts as memory of the client's session: megabytes.
  const client = connectHttp2(`http://127.0.0.1:${port}`, { maxSessionMemory: 200 });
  client.on("error", () => {});
  onTestFinished(() => client.destroy());
  return client;
}

export const FRAMES = [
  "DATA",
  "HEADERS",
  "PRIORITY",
  "RST_STREAM",
  "SETTINGS",
  "PUSH_PROMISE",
  "PING",
  "GOAWAY",
  "WINDOW_UPDATE",
  "CONTINUATION",
] as const;
type FrameName = (typeof FRAMES)[number];

export interface Frame {
  type: FrameName | number;
  flags: number;
  stream: number;
  payload: Buffer;
}

export const frame = (type: FrameName, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)) => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = FRAMES.indexOf(type);
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
};

/** Without Huffman coding and without the dynamic table (RFC 7541, 6.2.2). */
export function headerBlock(fields: readonly (readonly [string, string])[]): Buffer {
  const text = (value: string) => {
    const bytes = Buffer.from(value, "latin1");
    if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
    const length = [127];
    let rest = bytes.length - 127;
    for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128);
    return Buffer.concat([Buffer.from([...length, rest]), bytes]);
  };
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

export type FieldList = readonly (readonly [string, string])[];

export const GET: FieldList = [
  [":method", "GET"],
  [":scheme", "http"],
  [":authority", "a.example"],
  [":path", "/"],
];

export const without = (name: string): FieldList => GET.filter(([key]) => key !== name);
export const POST: FieldList = [[":method", "POST"], ...without(":method")];

export const INTERNAL_ERROR = 2;
export const CANCEL = 8;

export const END_STREAM = 1;
export const END_HEADERS = 4;

/** Sends the preface; then whatever the test sends. */
export function rawHttp2(port: number) {
  const socket = connect(port, "127.0.0.1");
  let unread = Buffer.alloc(0);
  const frames: Frame[] = [];
  let closed = false;
  socket.on("error", () => {});
  socket.on("close", () => {
    closed = true;
  });
  socket.on("data", (chunk: Buffer) => {
    unread = Buffer.concat([unread, chunk]);
    while (unread.length >= 9 && unread.length >= 9 + unread.readUIntBE(0, 3)) {
      const end = 9 + unread.readUIntBE(0, 3);
      const [type, flags] = [unread[3] as number, unread[4] as number];
      const payload = Buffer.from(unread.subarray(9, end));
      frames.push({ type: FRAMES[type] ?? type, flags, stream: unread.readUInt32BE(5), payload });
      unread = unread.subarray(end);
    }
  });
  socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  socket.write(frame("SETTINGS", 0, 0));
  onTestFinished(() => void socket.destroy());
  return {
    socket,
    frames,
    closed: () => closed,
    send: (...frames: Buffer[]) => socket.write(Buffer.concat(frames)),
    /** Of one stream, as "HEADERS 4" with the flags. */
    of: (stream: number) =>
      frames.filter((one) => one.stream === stream).map(({ type, flags }) => `${type} ${flags}`),
    /** Codes of RST_STREAM and GOAWAY. */
    resets: () =>
      frames.filter(({ type }) => type === "RST_STREAM").map(({ payload }) => payload.readUInt32BE(0)),
    goaways: () =>
      frames.filter(({ type }) => type === "GOAWAY").map(({ payload }) => payload.readUInt32BE(4)),
  };
}

type RequestHeaders = Record<string, string | string[] | number>;

/** One request by node's client, and all that came of it. */
export async function ask(port: number, headers: RequestHeaders, body: Buffer | string | null = null) {
  const client = http2Client(port);
  const stream = client.request(headers, { endStream: body === null });
  const got = {
    headers: {} as RequestHeaders,
    raw: [] as string[],
    interim: [] as RequestHeaders[],
    body: "",
    trailers: {} as RequestHeaders,
  };
  stream.setEncoding("latin1");
  stream.on("response", (headers, _flags, raw) => Object.assign(got, { headers, raw }));
  stream.on("headers", (headers) => got.interim.push(headers as RequestHeaders));
  stream.on("trailers", (trailers) => Object.assign(got, { trailers }));
  stream.on("data", (text: string) => {
    got.body += text;
  });
  if (body !== null) stream.end(body);
  await new Promise<void>((resolve, reject) => {
    stream.on("error", reject).on("close", resolve);
  });
  client.close();
  return got;
}
