import { createSocket } from "node:dgram";
import { once } from "node:events";
import { decode, encode } from "dns-packet";
import { describe, expect, it, onTestFinished } from "vitest";
import { createAsk, nameServer } from "./dns-query.ts";
import { a, srv, startDnsServer } from "./test-support/dns-server.ts";

const NAME = "shop.example.com";
const ask = (addresses: string[], timeoutMs = 5_000, randomId = () => 4_711) =>
  createAsk({ servers: addresses.map(nameServer), randomId, timeoutMs });

describe("a question to a name server", () => {
  it("is answered with its records and their TTLs", async () => {
    const server = await startDnsServer();
    server.set(`${NAME} SRV`, { answers: [srv(NAME, "a.example.com", 80, 1, 2, 77)] });
    const { answers } = await ask([server.address])({ name: NAME, type: "SRV" });
    expect(answers).toEqual([
      expect.objectContaining({
        ttl: 77,
        data: { target: "a.example.com", port: 80, priority: 1, weight: 2 },
      }),
    ]);
  });

  it("is asked again over TCP where the answer does not fit", async () => {
    const server = await startDnsServer();
    const many = Array.from({ length: 500 }, (_, i) => a(NAME, `10.0.${i >> 8}.${i & 255}`));
    server.set(`${NAME} A`, { answers: many, truncated: true });
    const { answers } = await ask([server.address])({ name: NAME, type: "A" });
    expect(answers).toHaveLength(500);
    expect(server.asked).toEqual([`udp ${NAME} A`, `tcp ${NAME} A`]);
  });

  it("takes no answer with another id or question, and none that is no answer", async () => {
    const server = await startDnsServer();
    const forged = (id: number, name: string, type: "A" | "AAAA", kind: "response" | "query" = "response") =>
      encode({ type: kind, id, questions: [{ name, type }], answers: [a(name, "6.6.6.6")] });
    server.set(`${NAME} A`, {
      answers: [a(NAME, "10.0.0.1")],
      before: ({ id }) => [
        forged((id + 1) % 65_536, NAME, "A"),
        forged(id, "other.example.com", "A"),
        forged(id, NAME, "AAAA"),
        forged(id, NAME, "A", "query"),
        encode({ type: "response", id, questions: [], answers: [a(NAME, "6.6.6.6")] }),
        Buffer.from("no message"),
        Buffer.alloc(0),
      ],
    });
    const { answers } = await ask([server.address])({ name: NAME, type: "A" });
    expect(answers).toEqual([expect.objectContaining({ data: "10.0.0.1" })]);
  });

  it("takes no answer from anybody else, though it fits", async () => {
    const [asked, other] = [createSocket("udp4"), createSocket("udp4")];
    onTestFinished(() => void [asked.close(), other.close()]);
    asked.bind(0, "127.0.0.1");
    await once(asked, "listening");
    let sent = 0;
    asked.on("message", (bytes, { port }) => {
      const { id = 0, questions = [] } = decode(bytes);
      const forged = encode({ type: "response", id, questions, answers: [a(NAME, "6.6.6.6")] });
      other.send(forged, port, "127.0.0.1", () => sent++);
    });
    const asking = ask([`127.0.0.1:${asked.address().port}`], 100)({ name: NAME, type: "A" });
    await expect(asking).rejects.toThrow("no answer within 100 ms");
    expect(sent).toBe(1);
  });

  it("goes over TCP when somebody guesses ids", async () => {
    const server = await startDnsServer();
    const guess = (id: number) =>
      encode({ type: "response", id, questions: [{ name: NAME, type: "A" }], answers: [a(NAME, "6.6.6.6")] });
    server.set(`${NAME} A`, {
      answers: [a(NAME, "10.0.0.1")],
      before: ({ id }) => Array.from({ length: 40 }, (_, i) => guess((id + 1 + i) % 65_536)),
    });
    const { answers } = await ask([server.address])({ name: NAME, type: "A" });
    expect(answers).toEqual([expect.objectContaining({ data: "10.0.0.1" })]);
    expect(server.asked).toEqual([`udp ${NAME} A`, `tcp ${NAME} A`]);
  });

  it("goes to the next server after a failure, a refusal or silence", async () => {
    const [mute, failing, refusing, good] = await Promise.all([1, 2, 3, 4].map(startDnsServer));
    mute?.set(`${NAME} A`, { silent: true });
    failing?.set(`${NAME} A`, { rcode: "SERVFAIL" });
    refusing?.set(`${NAME} A`, { rcode: "REFUSED" });
    good?.set(`${NAME} A`, { answers: [a(NAME, "10.0.0.1")] });
    const servers = [
      "127.0.0.1:1",
      mute?.address,
      failing?.address,
      refusing?.address,
      good?.address,
    ] as string[];
    expect((await ask(servers, 100)({ name: NAME, type: "A" })).answers).toHaveLength(1);
    await expect(ask(servers.slice(0, 4), 100)({ name: NAME, type: "A" })).rejects.toThrow(
      /^shop\.example\.com A: 127\.0\.0\.1: .*ECONNREFUSED; .*no answer within 100 ms; .*SERVFAIL; .*REFUSED$/,
    );
  });

  it("is answered too where there is nothing, and no other server is asked then", async () => {
    const [first, second] = await Promise.all([startDnsServer(), startDnsServer()]);
    const question = { name: NAME, type: "A" } as const;
    expect((await ask([first.address, second.address])(question)).answers).toEqual([]);
    first.set(`${NAME} A`, { answers: [] });
    expect((await ask([first.address, second.address])(question)).answers).toEqual([]);
    expect(second.asked).toEqual([]);
  });

  it("has an id and a port of its own", async () => {
    const server = await startDnsServer();
    const seen: number[] = [];
    server.set(`${NAME} A`, { before: ({ id }) => [Buffer.from(String(seen.push(id)))] });
    let id = 10;
    const asking = ask([server.address], 5_000, () => ++id);
    await asking({ name: NAME, type: "A" });
    await asking({ name: NAME, type: "A" });
    expect(seen).toEqual([11, 12]);
  });

  it.each([
    ["10.0.0.1", "10.0.0.1", 53],
    ["10.0.0.1:5353", "10.0.0.1", 5353],
    ["2001:db8::1", "2001:db8::1", 53],
    ["[2001:db8::1]", "2001:db8::1", 53],
    ["[2001:db8::1]:5353", "2001:db8::1", 5353],
  ])("knows a server by %s", (text, address, port) => {
    expect(nameServer(text)).toEqual({ address, port });
  });
});
