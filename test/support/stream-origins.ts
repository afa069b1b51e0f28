// Small backends below HTTP: the beginning of PostgreSQL's protocol, and a name server.
import { createSocket, type Socket as Datagrams } from "node:dgram";
import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";

const SSL_REQUEST = 80_877_103;
const STARTUP_HEADER_BYTES = 8;

const message = (type: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(5);
  head.write(type, "latin1");
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};

const text = (value: string) => Buffer.from(`${value}\0`);
const short = (value: number) => Buffer.from([value >> 8, value & 255]);
const long = (value: number) => Buffer.concat([short(value >>> 16), short(value & 65_535)]);

const READY = message("Z", Buffer.from("I"));

/** One row with one column. */
function answerOf(value: string): Buffer {
  const column = Buffer.concat([
    text("answer"),
    long(0),
    short(0),
    long(25),
    short(65_535),
    long(-1),
    short(0),
  ]);
  const cell = Buffer.from(value);
  return Buffer.concat([
    message("T", Buffer.concat([short(1), column])),
    message("D", Buffer.concat([short(1), long(cell.length), cell])),
    message("C", text("SELECT 1")),
    READY,
  ]);
}

/** Lets everyone in without TLS, and answers each query with its text behind `name`. */
export function postgres(name: string) {
  return createServer((socket: Socket) => {
    let received: Buffer = Buffer.alloc(0); // until it is whole
    let started = false;
    const next = (): boolean => {
      const header = started ? 1 : 0;
      if (received.length < header + 4) return false;
      const length = header + received.readInt32BE(header);
      if (received.length < length) return false;
      const one = received.subarray(0, length);
      received = received.subarray(length);
      if (!started) {
        if (one.length === STARTUP_HEADER_BYTES && one.readInt32BE(4) === SSL_REQUEST)
          return socket.write("N");
        started = true;
        const version = Buffer.concat([text("server_version"), text("15.0")]);
        return socket.write(Buffer.concat([message("R", long(0)), message("S", version), READY]));
      }
      if (one[0] === 0x51)
        return socket.write(answerOf(`${name}: ${one.toString("utf8", 5, one.length - 1)}`));
      if (one[0] === 0x58) socket.end();
      return true;
    };
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      while (next());
    });
  });
}

export interface NameServer {
  port: number;
  /** Names that were asked for, in order. */
  asked: string[];
  close(): void;
}

/** Answers questions for an address (A) with `address`, and for text (TXT) with as many bytes as the name begins with. */
export async function startNameServer(address: string): Promise<NameServer> {
  const socket: Datagrams = createSocket("udp4");
  const asked: string[] = [];
  socket.on("message", (query, { port, address: client }) => {
    const { name, type, end } = questionOf(query);
    asked.push(name);
    const data = type === 16 ? txt(Number.parseInt(name, 10)) : Buffer.from(address.split(".").map(Number));
    const record = Buffer.concat([short(0xc00c), short(type), short(1), long(60), short(data.length), data]);
    const counts = Buffer.concat([short(1), short(1), short(0), short(0)]);
    const head = Buffer.concat([query.subarray(0, 2), short(0x8580), counts]);
    socket.send(Buffer.concat([head, query.subarray(12, end), record]), port, client);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return { port: (socket.address() as AddressInfo).port, asked, close: () => socket.close() };
}

function questionOf(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] as number; length > 0; length = query[at] as number) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join("."), type: query.readUInt16BE(at + 1), end: at + 5 };
}

/** Strings of up to 255 bytes each. */
function txt(bytes: number): Buffer {
  const strings: Buffer[] = [];
  for (let left = bytes; left > 0; left -= 255) {
    const length = Math.min(255, left);
    strings.push(Buffer.from([length]), Buffer.alloc(length, "x"));
  }
  return Buffer.concat(strings);
}
