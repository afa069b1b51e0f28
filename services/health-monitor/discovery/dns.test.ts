import type { DnsSource } from "@evenkeel/core/config/resolve-discovery.ts";
import type { BackendDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it, onTestFinished } from "vitest";
import { watchDns } from "./dns.ts";
import { createAsk, nameServer } from "./dns-query.ts";
import { collectAnswers } from "./test-support/answers.ts";
import { a, aaaa, cname, soa, srv, startDnsServer } from "./test-support/dns-server.ts";
import { handTimers } from "./test-support/hand-timers.ts";

const NAME = "shop.example.com";

/** A name server, and a source that asks it; time passes by hand. */
async function scene(settings: Partial<DnsSource> = {}, known: BackendDocument[] = []) {
  const server = await startDnsServer();
  const seen = collectAnswers(known);
  const { timers, delaysMs, pass } = handTimers();
  const source: DnsSource = {
    name: NAME,
    type: "A",
    scheme: "http",
    port: 8080,
    resolvers: [],
    minIntervalMs: 1_000,
    maxIntervalMs: 60_000,
    ...settings,
  };
  const ask = createAsk({ servers: [nameServer(server.address)], randomId: () => 7, timeoutMs: 200 });
  return {
    server,
    ...seen,
    delaysMs,
    /** Lets the source ask, and waits for what it tells. */
    async answered() {
      const told = seen.answers.length;
      if (told === 0) {
        const running = watchDns(source, seen.start, { timers, ask, chance: () => 0 });
        onTestFinished(() => running.stop());
      } else pass(delaysMs()[0] ?? 0);
      await seen.until("an answer", () => seen.answers.length > told && delaysMs().length === 1);
      const answer = seen.last();
      return answer?.ok ? answer.backends : [];
    },
  };
}

describe("a name's addresses", () => {
  it("are backends, the same whatever their order", async () => {
    const dns = await scene();
    dns.server.set(`${NAME} A`, { answers: [a(NAME, "10.0.0.2"), a(NAME, "10.0.0.1"), a(NAME, "10.0.0.1")] });
    const first = await dns.answered();
    expect(first).toEqual([
      { id: "10.0.0.2-8080", url: "http://10.0.0.2:8080" },
      { id: "10.0.0.1-8080", url: "http://10.0.0.1:8080" },
    ]);
    dns.server.set(`${NAME} A`, { answers: [a(NAME, "10.0.0.1"), a(NAME, "10.0.0.2")] });
    expect((await dns.answered()).toReversed()).toEqual(first);
  });

  it("may be IPv6, in ids that are names", async () => {
    const dns = await scene({ type: "AAAA", scheme: "https", port: null });
    dns.server.set(`${NAME} AAAA`, { answers: [aaaa(NAME, "2001:db8:0:0:0:0:0:1"), aaaa(NAME, "::1")] });
    expect(await dns.answered()).toEqual([
      { id: "2001-db8--1-443", url: "https://[2001:db8::1]:443" },
      { id: "0--1-443", url: "https://[::1]:443" },
    ]);
  });

  it("are found behind aliases, however they are ordered and written", async () => {
    const dns = await scene();
    dns.server.set(`${NAME} A`, {
      answers: [
        a("c.example.net", "10.0.0.1", 60),
        cname("B.example.net", "c.Example.net", 20),
        a("unasked.example.net", "10.0.0.9"),
        cname("Shop.Example.COM", "b.example.net", 60),
      ],
    });
    expect((await dns.answered()).map(({ id }) => id)).toEqual(["10.0.0.1-8080"]);
    expect(dns.delaysMs()).toEqual([20_000]);
  });

  it("are not looked for along aliases without end", async () => {
    const dns = await scene();
    dns.server.set(`${NAME} A`, { answers: [cname(NAME, "b.example.net"), cname("b.example.net", NAME)] });
    await dns.answered();
    expect(dns.reason()).toMatch(/more than 16 aliases/);
  });

  it.each([
    [30, 30_000],
    [0, 1_000],
    [86_400, 60_000],
    [2 ** 31, 1_000],
  ])("are asked for again after a TTL of %i s: %i ms", async (ttl, delayMs) => {
    const dns = await scene();
    dns.server.set(`${NAME} A`, { answers: [a(NAME, "10.0.0.1", 3_600_000), a(NAME, "10.0.0.2", ttl)] });
    await dns.answered();
    expect(dns.delaysMs()).toEqual([delayMs]);
  });

  it("are none when the name does not exist or has none, and that holds as long as it says", async () => {
    const dns = await scene();
    dns.server.set(`${NAME} A`, { rcode: "NXDOMAIN", authorities: [soa("example.com", 300, 5)] });
    await dns.answered();
    expect(dns.last()).toEqual({ ok: true, backends: [], rejected: [] });
    expect(dns.delaysMs()).toEqual([5_000]);
    dns.server.set(`${NAME} A`, { answers: [] });
    await dns.answered();
    expect(dns.last()).toEqual({ ok: true, backends: [], rejected: [] });
    expect(dns.delaysMs()).toEqual([1_000]);
  });

  it("are not told while they cannot be asked for, which is tried less and less often", async () => {
    const dns = await scene({ maxIntervalMs: 5_000 });
    dns.server.set(`${NAME} A`, { rcode: "SERVFAIL" });
    const delays: number[] = [];
    for (let i = 0; i < 5; i++) {
      await dns.answered();
      expect(dns.reason()).toMatch(/SERVFAIL/);
      delays.push(...dns.delaysMs());
    }
    expect(delays).toEqual([1_000, 2_000, 4_000, 5_000, 5_000]);
    dns.server.set(`${NAME} A`, { answers: [a(NAME, "10.0.0.1", 2)] });
    expect(await dns.answered()).toHaveLength(1);
    expect(dns.delaysMs()).toEqual([2_000]);
  });
});

describe("a service's records", () => {
  const service = (known: BackendDocument[] = []) => scene({ type: "SRV", port: null }, known);

  it("say port, weight and tier; addresses come along or are asked for", async () => {
    const dns = await service();
    dns.server.set(`${NAME} SRV`, {
      answers: [
        srv(NAME, "c.example.com", 83, 20, 0),
        srv(NAME, "a.example.com", 81, 5, 30),
        srv(NAME, "b.example.com", 82, 5, 10, 40),
      ],
      additionals: [a("a.example.com", "10.0.0.1", 50), aaaa("a.example.com", "2001:db8::1")],
    });
    dns.server.set("b.example.com A", {
      answers: [a("b.example.com", "10.0.0.2", 9), a("b.example.com", "10.0.0.3")],
    });
    dns.server.set("c.example.com A", { answers: [] });
    dns.server.set("c.example.com AAAA", { answers: [aaaa("c.example.com", "2001:db8::3")] });
    expect(await dns.answered()).toEqual([
      { id: "10.0.0.1-81", url: "http://10.0.0.1:81", weight: 30, priority: 0 },
      { id: "10.0.0.2-82", url: "http://10.0.0.2:82", weight: 10, priority: 0 },
      { id: "10.0.0.3-82", url: "http://10.0.0.3:82", weight: 10, priority: 0 },
      { id: "2001-db8--3-83", url: "http://[2001:db8::3]:83", weight: 1, priority: 1 },
    ]);
    expect(dns.delaysMs()).toEqual([9_000]);
    expect(dns.server.asked.filter((question) => question.includes("a.example"))).toEqual([]);
  });

  it("keep weights in proportion, and ranks within the tiers there are", async () => {
    const dns = await service();
    const records = Array.from({ length: 12 }, (_, i) =>
      srv(NAME, "a.example.com", 100 + i, i * 10, i === 0 ? 20_000 : 10_000),
    );
    dns.server.set(`${NAME} SRV`, { answers: records, additionals: [a("a.example.com", "10.0.0.1")] });
    const backends = await dns.answered();
    expect(backends.map(({ weight }) => weight)).toEqual([1_000, ...new Array(11).fill(500)]);
    expect(backends.map(({ priority }) => priority)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9]);
  });

  it("keep the addresses of a target that cannot be asked for, and reject one that never had any", async () => {
    const dns = await service();
    dns.server.set(`${NAME} SRV`, {
      answers: [
        srv(NAME, "a.example.com", 80),
        srv(NAME, "b.example.com", 80),
        srv(NAME, "x.example.com", 80),
      ],
    });
    dns.server.set("a.example.com A", { answers: [a("a.example.com", "10.0.0.1")] });
    dns.server.set("b.example.com A", { rcode: "SERVFAIL" });
    expect((await dns.answered()).map(({ id }) => id)).toEqual(["10.0.0.1-80"]);
    expect(dns.last()).toMatchObject({
      rejected: expect.arrayContaining([
        { what: "b.example.com", reason: expect.stringContaining("SERVFAIL") },
        { what: "x.example.com", reason: "has no address" },
      ]),
    });
    dns.server.set("a.example.com A", { rcode: "SERVFAIL" });
    dns.server.set("b.example.com A", { answers: [a("b.example.com", "10.0.0.2")] });
    expect((await dns.answered()).map(({ id }) => id)).toEqual(["10.0.0.1-80", "10.0.0.2-80"]);
  });

  it("are not told without a target that was known, perhaps, before it failed a few times", async () => {
    const dns = await service([{ id: "10.0.0.2-80", url: "http://10.0.0.2:80" }]);
    dns.server.set(`${NAME} SRV`, {
      answers: [srv(NAME, "a.example.com", 80), srv(NAME, "b.example.com", 80)],
      additionals: [a("a.example.com", "10.0.0.1")],
    });
    dns.server.set("b.example.com A", { rcode: "SERVFAIL" });
    await dns.answered();
    await dns.answered();
    expect(dns.answers.map(({ ok }) => ok)).toEqual([false, false]);
    expect(dns.reason()).toMatch(/^b\.example\.com A: .*SERVFAIL/);
    expect((await dns.answered()).map(({ id }) => id)).toEqual(["10.0.0.1-80"]);
  });

  it("are not empty when no target can be asked for", async () => {
    const dns = await service();
    dns.server.set(`${NAME} SRV`, { answers: [srv(NAME, "a.example.com", 80)] });
    dns.server.set("a.example.com A", { rcode: "SERVFAIL" });
    for (let i = 0; i < 4; i++) await dns.answered();
    expect(dns.answers.map(({ ok }) => ok)).toEqual([false, false, false, false]);
  });

  it("may say that there decidedly is none", async () => {
    const dns = await service();
    dns.server.set(`${NAME} SRV`, { answers: [srv(NAME, ".", 0)] });
    expect(await dns.answered()).toEqual([]);
    expect(dns.last()?.ok).toBe(true);
  });
});
