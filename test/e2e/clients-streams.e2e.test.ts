// Clients below HTTP: redis-cli, psql and bare connections through TCP, openssl through TLS that is passed on, curl
// with the PROXY protocol, dig through UDP. What is open is counted like requests are.
import { readFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { connect, createServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { waitFor } from "../support/cluster.ts";
import { certificateFile, type Front, openFront } from "../support/front.ts";
import { itWith } from "../support/have.ts";
import { type Origin, openOrigin } from "../support/origins.ts";
import { run, talkTo } from "../support/run.ts";
import { type NameServer, postgres, startNameServer } from "../support/stream-origins.ts";

const TIMEOUT_MS = 10_000;
const SESSION_IDLE_MS = 1_000;
const LOOPBACK = ["127.0.0.0/8"];

let front: Front;
const origins: Origin[] = [];
const nameServers: NameServer[] = [];

/** Its answer is the name and what was sent, once the client has ended its side. */
const afterEnd = (name: string) =>
  createServer({ allowHalfOpen: true }, (socket) => {
    let received = "";
    socket.on("data", (chunk) => {
      received += chunk;
    });
    socket.on("end", () => socket.end(`${name}: ${received}`));
  });

const tlsServer = (name: string) =>
  createTlsServer(
    { cert: readFileSync(certificateFile(`${name}.pem`)), key: readFileSync(certificateFile(`${name}.key`)) },
    (socket) => socket.end(`this is ${name}\n`),
  );

beforeAll(async () => {
  const open = async (server: Parameters<typeof openOrigin>[0]) => {
    const origin = await openOrigin(server);
    origins.push(origin);
    return `127.0.0.1:${origin.port}`;
  };
  const pool = (name: string, ...urls: string[]) => ({
    ...{ name, slowStart: { windowMs: 0 } },
    backends: urls.map((url, i) => ({ id: `b${i + 1}`, url })),
  });
  const redis = new URL(inject("redisUrl"));
  const halves = await Promise.all(["one", "two", "three"].map((name) => open(afterEnd(name))));
  const web = createHttpServer(({ headers }, response) => response.end(headers["x-forwarded-for"]));
  nameServers.push(await startNameServer("192.0.2.1"), await startNameServer("192.0.2.2"));
  const tcp = ["redis", "postgres", "halves"] as const;
  front = await openFront(
    {
      listeners: [
        ...tcp.map((name) => ({ name, protocol: "tcp" as const, port: 0 })),
        { name: "passed", protocol: "tls", port: 0 },
        { name: "names", protocol: "udp", port: 0, datagrams: { idleMs: SESSION_IDLE_MS } },
        { name: "behind", protocol: "http", port: 0, proxyProtocol: { trusted: LOOPBACK } },
      ],
      routes: [
        ...tcp.map((name) => ({ name, match: { listener: name }, proxy: "dynamic" as const, pool: name })),
        { name: "a", match: { listener: "passed", sni: "a.example" }, proxy: "dynamic", pool: "a" },
        { name: "b", match: { listener: "passed", sni: "*.b.example" }, proxy: "dynamic", pool: "b" },
        { name: "names", match: { listener: "names" }, proxy: "dynamic", pool: "names" },
        { name: "web", match: { listener: "behind" }, proxy: "dynamic", pool: "web" },
      ],
      pools: [
        pool("redis", `tcp://${redis.hostname}:${redis.port || 6379}`),
        pool("postgres", `tcp://${await open(postgres("database"))}`),
        pool("halves", ...halves.map((address) => `tcp://${address}`)),
        pool("a", `tcp://${await open(tlsServer("a"))}`),
        pool("b", `tcp://${await open(tlsServer("b"))}`),
        pool("names", ...nameServers.map(({ port }) => `udp://127.0.0.1:${port}`)),
        pool("web", `http://${await open(web)}`),
      ],
    },
    inject("redisUrl"),
  );
});

afterAll(async () => {
  await front?.end();
  for (const origin of origins) await origin.kill();
  for (const server of nameServers) server.close();
});

/** A bare connection; what has come so far. */
function dial(listener: string): { socket: Socket; said: () => string; ended: () => boolean } {
  const socket = connect({ port: front.port(listener), host: "127.0.0.1", allowHalfOpen: true });
  let said = "";
  let ended = false;
  socket.on("data", (chunk) => {
    said += chunk;
  });
  socket.on("error", () => {});
  for (const event of ["end", "close"]) {
    socket.on(event, () => {
      ended = true;
    });
  }
  onTestFinished(() => void socket.destroy());
  return { socket, said: () => said, ended: () => ended };
}

const eventually = (condition: () => boolean, what: string) =>
  waitFor(condition, { timeoutMs: TIMEOUT_MS, what });

describe("redis-cli through TCP", () => {
  const withRedisCli = itWith("redis-cli");
  const args = () => {
    const { username, password } = new URL(inject("redisUrl"));
    return ["-u", `redis://${password ? `${username}:${password}@` : ""}127.0.0.1:${front.port("redis")}`];
  };
  const cli = async (...command: string[]) => (await run("redis-cli", [...args(), ...command])).text.trim();
  const key = `clients-${process.pid}`;

  withRedisCli("is answered", async () => {
    expect(await cli("PING")).toBe("PONG");
    const value = "x".repeat(100_000);
    expect(await cli("SET", key, value, "EX", "60")).toBe("OK");
    expect((await cli("GET", key)) === value).toBe(true);
    expect(await cli("DEL", key)).toBe("1");
  });

  withRedisCli("sends a thousand commands at once", async () => {
    const commands = Array.from({ length: 1_000 }, (_, i) => `ECHO number-${i}\r\n`).join("");
    const { text } = await run("redis-cli", [...args(), "--pipe"], { input: commands });
    expect(text).toContain("errors: 0, replies: 1000");
  });

  withRedisCli("hears what is published, while its connection is counted", async () => {
    await front.counts("redis", { b1: 0 });
    const subscriber = talkTo("redis-cli", [...args(), "SUBSCRIBE", key]);
    onTestFinished(subscriber.end);
    await subscriber.until("subscribe\n");
    await front.counts("redis", { b1: 1 });
    expect(await cli("PUBLISH", key, "the news")).toBe("1");
    await subscriber.until("the news");
    await subscriber.end();
    await front.counts("redis", { b1: 0 });
  });
});

describe("psql through TCP", () => {
  itWith("psql")("asks and is answered", async () => {
    const url = `postgresql://someone@127.0.0.1:${front.port("postgres")}/data`;
    const { code, text, stderr } = await run("psql", ["-X", "-A", "-t", "-c", "SELECT 42", url]);
    expect([code, text, stderr]).toEqual([0, "database: SELECT 42\n", ""]);
    await front.counts("postgres", { b1: 0 });
  });
});

describe("a connection through TCP", () => {
  it("is answered after it has ended its own side", async () => {
    const { socket, said, ended } = dial("halves");
    socket.end("all that I have to say");
    await eventually(ended, "the end");
    expect(said()).toMatch(/^(one|two|three): all that I have to say$/);
  });

  it("goes to the backend with the fewest, and is counted until it ends", async () => {
    const spread = () =>
      waitFor(
        async () => {
          const counts = Object.values(await front.inflight("halves"));
          return counts.reduce((sum, n) => sum + n, 0) === 30 ? counts : null;
        },
        { timeoutMs: TIMEOUT_MS, what: "thirty to be counted" },
      );
    // Ten each, but for what a gateway may decide alone when the scheduler takes its time.
    const even = (counts: number[]) => counts.every((count) => count >= 8 && count <= 12);
    const all = Array.from({ length: 30 }, () => dial("halves"));
    expect(await spread()).toSatisfy(even);
    for (const { socket } of all.slice(15)) socket.end();
    await eventually(() => all.slice(15).every(({ ended }) => ended()), "half of them to end");
    const more = Array.from({ length: 15 }, () => dial("halves"));
    await eventually(() => more.every(({ socket }) => !socket.connecting), "them to be connected");
    expect(await spread()).toSatisfy(even);
    for (const { socket } of [...all, ...more]) socket.destroy();
    await front.counts("halves", { b1: 0, b2: 0, b3: 0 });
    expect(await decidedByScheduler("halves")).toBeGreaterThan(30);
  });
});

describe("openssl s_client through TLS that is passed on", () => {
  const shake = async (servername: string) => {
    const address = ["-connect", `127.0.0.1:${front.port("passed")}`, "-servername", servername];
    const checks = [
      "-CAfile",
      certificateFile("ca.pem"),
      "-verify_return_error",
      "-verify_hostname",
      servername,
    ];
    const { code, text, stderr } = await run("openssl", ["s_client", "-ign_eof", ...address, ...checks]);
    return { code, said: `${text}${stderr}` };
  };

  itWith("openssl")("reaches the backend of the name that it asks for", async () => {
    for (const [servername, name] of [
      ["a.example", "a"],
      ["shop.b.example", "b"],
      ["A.EXAMPLE", "a"],
    ] as const) {
      const { code, said } = await shake(servername);
      expect(said, servername).toContain(`this is ${name}\n`);
      expect(said).toContain("Verify return code: 0 (ok)");
      expect(code).toBe(0);
    }
    await front.counts("a", { b1: 0 });
    await front.counts("b", { b1: 0 });
  });

  itWith("openssl")("reaches none with a name that no route has", async () => {
    const { code, said } = await shake("unknown.example");
    expect(code).toBe(1);
    expect(said).not.toContain("this is");
  });
});

describe("behind a balancer that speaks the PROXY protocol", () => {
  const url = () => `http://127.0.0.1:${front.port("behind")}/`;

  itWith("curl")("curl is served with a header (v1) and not without", async () => {
    const { code, text } = await run("curl", ["-sS", "--haproxy-protocol", url()]);
    expect([code, text]).toEqual([0, "127.0.0.1"]);
    const bare = await run("curl", ["-sS", url()]);
    expect([bare.code === 0, bare.text]).toEqual([false, ""]);
  });

  const v2 = Buffer.concat([
    Buffer.from("0d0a0d0a000d0a515549540a2111000c", "hex"),
    Buffer.from([203, 0, 113, 7, 198, 51, 100, 1, 0xc0, 0x00, 0x01, 0xbb]),
  ]);
  for (const [version, header] of [
    ["v1", Buffer.from("PROXY TCP4 203.0.113.7 198.51.100.1 49152 443\r\n")],
    ["v2", v2],
  ] as const) {
    it(`the address in the header, ${version}, is the client's for backends`, async () => {
      const { socket, said } = dial("behind");
      socket.write(header);
      socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      await eventually(() => said().endsWith("\r\n\r\n203.0.113.7"), "the answer");
    });
  }
});

describe("dig through UDP", () => {
  const dig = async (...args: string[]) => {
    const to = ["@127.0.0.1", "-p", String(front.port("names")), "+tries=1", "+time=5"];
    const { code, text } = await run("dig", [...to, ...args]);
    return { code, text: text.trim() };
  };
  const open = async () => Object.values(await front.inflight("names")).reduce((sum, n) => sum + n, 0);
  const counted = async () => {
    await waitFor(async () => (await open()) === 1, { timeoutMs: TIMEOUT_MS, what: "a session" });
    await front.counts("names", { b1: 0, b2: 0 });
  };

  itWith("dig")("is answered, and its session ends with silence", async () => {
    const { code, text } = await dig("+short", "shop.example");
    expect(code).toBe(0);
    expect(["192.0.2.1", "192.0.2.2"]).toContain(text);
    await counted();
  });

  itWith("dig")("gets large answers", async () => {
    const { text } = await dig("+short", "+bufsize=4096", "TXT", "3000.example");
    expect(text.replace(/[" ]/g, "")).toBe("x".repeat(3_000));
    await counted();
  });

  itWith("dig")("reaches another backend while the first is busy", async () => {
    const answers = new Set<string>();
    for (let i = 0; i < 4; i += 1) answers.add((await dig("+short", `n${i}.example`)).text);
    expect([...answers].sort()).toEqual(["192.0.2.1", "192.0.2.2"]);
    expect(nameServers.flatMap(({ asked }) => asked)).toContain("n3.example");
  });
});

/** Picks of 45 and more that were not the gateway's own. */
async function decidedByScheduler(pool: string): Promise<number> {
  const text = await (await fetch(`${front.cluster.gateways[0]?.adminUrl}/metrics`)).text();
  const series = `evenkeel_gateway_decisions_total{pool="${pool}",source="scheduler"} `;
  return Number(
    text
      .split("\n")
      .find((line) => line.startsWith(series))
      ?.slice(series.length) ?? 0,
  );
}
