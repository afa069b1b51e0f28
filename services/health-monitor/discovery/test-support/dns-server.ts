// A name server over UDP and TCP on one port, whose records and manners a test decides.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  decode,
  encode,
  type Packet,
  type Question,
  streamDecode,
  streamEncode,
  TRUNCATED_RESPONSE,
} from "dns-packet";
import { onTestFinished } from "vitest";

const RCODES = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 } as const;

export interface Reply {
  rcode?: keyof typeof RCODES;
  answers?: Answer[];
  authorities?: Answer[];
  additionals?: Answer[];
  /** Over UDP no records, but the note that there are more. */
  truncated?: boolean;
  /** Nothing is answered. */
  silent?: boolean;
  /** Sent over UDP before the answer. */
  before?: (query: Packet & { id: number }) => Buffer[];
}

export async function startDnsServer() {
  const replies = new Map<string, Reply>();
  const asked: string[] = [];
  const replyTo = ({ name, type }: Question) =>
    replies.get(`${name} ${type}`) ?? { rcode: "NXDOMAIN" as const };
  const packetOf = (query: Packet, reply: Reply, flags: number): Packet => ({
    type: "response",
    id: query.id ?? 0,
    flags: AUTHORITATIVE_ANSWER | flags | RCODES[reply.rcode ?? "NOERROR"],
    questions: query.questions ?? [],
    answers: reply.answers ?? [],
    authorities: reply.authorities ?? [],
    additionals: reply.additionals ?? [],
  });

  const tcp = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (bytes: Buffer) => {
      const query = streamDecode(bytes);
      const [question] = query.questions ?? [];
      if (!question) return;
      asked.push(`tcp ${question.name} ${question.type}`);
      const reply = replyTo(question);
      const whole = streamEncode(packetOf(query, reply, 0));
      // In pieces, as networks do.
      if (!reply.silent)
        for (const at of [0, 1, 20])
          socket.write(whole.subarray(at, at === 20 ? undefined : at === 0 ? 1 : 20));
    });
  });
  tcp.listen(0, "127.0.0.1");
  await once(tcp, "listening");
  const { port } = tcp.address() as AddressInfo;

  const udp = createSocket("udp4");
  udp.on("message", (bytes, { port: from, address }) => {
    const query = decode(bytes) as Packet & { id: number };
    const [question] = query.questions ?? [];
    if (!question) return;
    asked.push(`udp ${question.name} ${question.type}`);
    const reply = replyTo(question);
    for (const stray of reply.before?.(query) ?? []) udp.send(stray, from, address);
    if (reply.silent) return;
    const packet = reply.truncated ? packetOf(query, {}, TRUNCATED_RESPONSE) : packetOf(query, reply, 0);
    udp.send(encode(packet), from, address);
  });
  udp.bind(port, "127.0.0.1");
  await once(udp, "listening");
  onTestFinished(() => {
    udp.close();
    tcp.close();
  });

  return {
    address: `127.0.0.1:${port}`,
    /** Each question as it came: transport, name, type. */
    asked,
    set(question: string, reply: Reply) {
      replies.set(question, reply);
    },
  };
}

export const a = (name: string, data: string, ttl = 60): Answer => ({ type: "A", name, ttl, data });
export const aaaa = (name: string, data: string, ttl = 60): Answer => ({ type: "AAAA", name, ttl, data });
export const cname = (name: string, data: string, ttl = 60): Answer => ({ type: "CNAME", name, ttl, data });
export const srv = (
  name: string,
  target: string,
  port: number,
  priority = 0,
  weight = 0,
  ttl = 60,
): Answer => ({
  type: "SRV",
  name,
  ttl,
  data: { target, port, priority, weight },
});
export const soa = (name: string, ttl: number, minimum: number): Answer => ({
  type: "SOA",
  name,
  ttl,
  data: { mname: "ns", rname: "who", serial: 1, refresh: 1, retry: 1, expire: 1, minimum },
});
