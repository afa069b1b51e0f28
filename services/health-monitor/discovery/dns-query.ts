// One question to the name servers, in turn, until one answers: over UDP, and over TCP where the answer does not fit.
// Node's own resolver does not tell the TTL of SRV records. An answer is believed only from the server that was asked, with
// the id and the question that were sent; each question has a socket of its own, so that its port is by chance too.
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import { type Answer, decode, encode, RECURSION_DESIRED, streamDecode, streamEncode } from "dns-packet";
import { reasonOf } from "./source.ts";

/** For one server over one transport. */
export const QUERY_TIMEOUT_MS = 2_000;
/** Datagrams that are not the answer: somebody guesses. Past it TCP is used, where guessing does not help. */
const STRAYS_MAX = 32;
/** What TCP can hold, with its length before it. */
const TCP_BYTES_MAX = 65_537;
const DNS_PORT = 53;

export interface NameServer {
  address: string;
  port: number;
}

export interface Question {
  /** Without a dot at its end. */
  name: string;
  type: "A" | "AAAA" | "SRV";
}

export interface DnsAnswer {
  /** There may be nothing in it: the name does not exist, or has nothing of that type. */
  answers: Answer[];
  authorities: Answer[];
  additionals: Answer[];
}

/** @throws when no server has answered */
export type Ask = (question: Question) => Promise<DnsAnswer>;

export interface AskOptions {
  servers: readonly NameServer[];
  /** 0 to 65,535, not to be guessed. */
  randomId: () => number;
  timeoutMs?: number;
}

export const createAsk =
  ({ servers, randomId, timeoutMs = QUERY_TIMEOUT_MS }: AskOptions): Ask =>
  async (question) => {
    const reasons: string[] = [];
    for (const server of servers) {
      try {
        return await askServer(server, question, randomId(), timeoutMs);
      } catch (error) {
        reasons.push(`${server.address}: ${reasonOf(error)}`);
      }
    }
    if (servers.length === 0) reasons.push("the system has no name servers; set `resolvers`");
    throw new Error(`${question.name} ${question.type}: ${reasons.join("; ")}`);
  };

/** Of `address`, `address:port` or `[address]:port`. */
export function nameServer(text: string): NameServer {
  const [, address = text, port] = /^\[(.+)\](?::(\d+))?$/.exec(text) ?? /^([^:]+):(\d+)$/.exec(text) ?? [];
  return { address, port: Number(port ?? DNS_PORT) };
}

/** As far as the types of dns-packet do not tell. */
interface Decoded {
  id: number;
  rcode: string;
  opcode: string;
  flag_qr: boolean;
  flag_tc: boolean;
  questions: { name: string; type: string; class: string }[];
  answers: Answer[];
  authorities: Answer[];
  additionals: Answer[];
}

async function askServer(
  server: NameServer,
  question: Question,
  id: number,
  timeoutMs: number,
): Promise<DnsAnswer> {
  const query = { type: "query" as const, id, flags: RECURSION_DESIRED, questions: [question] };
  const fits = (message: Decoded) => isAnswerTo(message, id, question);
  const short = await overUdp(server, encode(query), fits, timeoutMs);
  const answer = short ?? (await overTcp(server, streamEncode(query), fits, timeoutMs));
  if (answer.rcode !== "NOERROR" && answer.rcode !== "NXDOMAIN") throw new Error(answer.rcode);
  return answer;
}

function isAnswerTo(message: Decoded, id: number, { name, type }: Question): boolean {
  if (!message.flag_qr || message.id !== id || message.opcode !== "QUERY") return false;
  const [asked, ...more] = message.questions;
  // Who refuses a question need not repeat it.
  if (!asked) return message.rcode !== "NOERROR" && message.rcode !== "NXDOMAIN";
  return more.length === 0 && sameName(asked.name, name) && asked.type === type && asked.class === "IN";
}

export const sameName = (one: string, other: string): boolean => bareName(one) === bareName(other);

export const bareName = (name: string): string => name.toLowerCase().replace(/\.$/, "");

/** Null: to be asked over TCP. */
function overUdp(
  { address, port }: NameServer,
  query: Buffer,
  fits: (message: Decoded) => boolean,
  timeoutMs: number,
): Promise<Decoded | null> {
  const socket = createSocket(isIPv6(address.replace(/%.*/, "")) ? "udp6" : "udp4");
  const { promise, resolve, reject } = Promise.withResolvers<Decoded | null>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  let strays = 0;
  socket.on("error", reject);
  socket.on("message", (bytes) => {
    const message = decoded(bytes, decode);
    if (message && fits(message)) resolve(message.flag_tc ? null : message);
    else if (++strays > STRAYS_MAX) resolve(null);
  });
  // Connected, the system passes on what comes from that address and port only, and tells when nobody is there.
  socket.on("connect", () => socket.send(query));
  socket.connect(port, address);
  return promise.finally(() => {
    clearTimeout(timer);
    socket.close();
  });
}

function overTcp(
  { address, port }: NameServer,
  query: Buffer,
  fits: (message: Decoded) => boolean,
  timeoutMs: number,
): Promise<Decoded> {
  const socket = connect(port, address);
  const { promise, resolve, reject } = Promise.withResolvers<Decoded>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms over TCP`)), timeoutMs);
  let received = Buffer.alloc(0);
  socket.on("error", reject);
  socket.on("close", () => reject(new Error("closed before the answer was whole")));
  socket.on("connect", () => socket.write(query));
  socket.on("data", (bytes: Buffer) => {
    received = Buffer.concat([received, bytes]);
    if (received.length < 2 || received.length < received.readUInt16BE(0) + 2) {
      if (received.length > TCP_BYTES_MAX) reject(new Error("the answer is too long"));
      return;
    }
    const message = decoded(received, streamDecode);
    if (message && fits(message)) resolve(message);
    else reject(new Error("the answer is not to the question"));
  });
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}

/** Null for what is no message. */
function decoded(bytes: Buffer, read: (bytes: Buffer) => unknown): Decoded | null {
  try {
    return read(bytes) as Decoded;
  } catch {
    return null;
  }
}
