// What is too much, too long or too slow: refused in bounded time and memory, with the status that says so, and without a
// byte of it at the backend.
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it } from "vitest";
import { eventually, sendRaw, startGateway } from "../test-support/data-path.ts";
import { answersOf, check, HOST, post, type RawCase, request } from "../test-support/raw-cases.ts";
import { startRecorder } from "../test-support/recorder.ts";

const KIB = 1024;
/** Short enough for a test, long enough for a busy machine. */
const SHORT_MS = 300;

type Limits = NonNullable<ConfigDocument["listeners"][number]["limits"]>;

const limited = (limits: Limits): Partial<ConfigDocument> => ({
  listeners: [{ name: "web", protocol: "http", port: 0, address: "127.0.0.1", limits }],
});

const refused = (name: string, sends: string, status: number | readonly number[]): RawCase => ({
  name,
  sends,
  gets: [status],
  connection: "closed",
  forwards: [],
});

const fields = (count: number) => Array.from({ length: count }, (_, i) => `X-${i}: a`);

const LARGE: RawCase[] = [
  refused("a value of 17 KiB", request("GET /", `X-A: ${"a".repeat(17 * KIB)}`), 431),
  refused("a name of 17 KiB", request("GET /", `${"a".repeat(17 * KIB)}: 1`), 431),
  refused("values of 17 KiB together", request("GET /", ...Array(17).fill(`X-A: ${"a".repeat(KIB)}`)), 431),
  refused("a cookie of 17 KiB", request("GET /", `Cookie: ${"a=b; ".repeat(3_500)}`), 431),
  refused("101 fields", request("GET /", ...fields(100)), 431),
  refused("1,000 fields", request("GET /", ...fields(1_000)), 431),
  refused("a target of 17 KiB", request(`GET /${"a".repeat(17 * KIB)}`), [414, 431]),
  refused("a query of 17 KiB", request(`GET /?${"a".repeat(17 * KIB)}`), [414, 431]),
  refused("a method of 17 KiB", request(`${"A".repeat(17 * KIB)} /`), [400, 431]),
  refused(
    "a header section of 17 KiB that does not end",
    `GET / HTTP/1.1\r\n${HOST}X-A: ${"a".repeat(17 * KIB)}`,
    431,
  ),
  refused("a request line of 17 KiB that does not end", `GET /${"a".repeat(17 * KIB)}`, [414, 431]),
  refused("17 KiB that are no HTTP at all", "\xff".repeat(17 * KIB), [400, 431]),
  refused("a thousand empty lines", "\r\n".repeat(1_000), 400),
];

const FITTING: RawCase[] = [
  {
    name: "100 fields, Host among them, pass",
    sends: request("GET /", ...fields(99)),
    gets: [200],
    connection: "open",
    forwards: ["GET / HTTP/1.1"],
    passes: ["x-0: a", "x-98: a"],
  },
  {
    name: "a value of 14 KiB passes",
    sends: request("GET /", `X-A: ${"a".repeat(14 * KIB)}`),
    gets: [200],
    connection: "open",
    forwards: ["GET / HTTP/1.1"],
    passes: [`x-a: ${"a".repeat(14 * KIB)}`],
  },
  {
    name: "fifty requests at once are answered one after the other",
    sends: request("GET /").repeat(50),
    gets: Array(50).fill(200),
    connection: "open",
    forwards: Array(50).fill("GET / HTTP/1.1"),
  },
];

const BODY_MAX = { maxBodyBytes: 10 };

const BODIES: RawCase[] = [
  refused("a length past it", post(["Content-Length: 11"], "x".repeat(11)), 413),
  refused("a length past it, before the body is sent", post(["Content-Length: 11"], ""), 413),
  {
    ...refused("chunks past it", post(["Transfer-Encoding: chunked"], "b\r\nhello world\r\n0\r\n\r\n"), 413),
    cut: "POST / HTTP/1.1",
  },
  {
    ...refused(
      "small chunks past it",
      post(["Transfer-Encoding: chunked"], `${"1\r\nx\r\n".repeat(11)}0\r\n\r\n`),
      413,
    ),
    cut: "POST / HTTP/1.1",
  },
].map((raw) => ({ ...raw, connection: "either" as const }));

const named = (cases: readonly RawCase[]) => cases.map((raw) => [raw.name, raw] as const);

describe("a header section", () => {
  it.each(named(LARGE))("is refused: %s", (_, raw) => check(raw));
  it.each(named(FITTING))("%s", (_, raw) => check(raw));

  it("has the bounds that the listener says", async () => {
    const config = limited({ headerBytes: 1_024, headers: 10 });
    await check(refused("bytes", request("GET /", `X-A: ${"a".repeat(1_100)}`), 431), config);
    await check(refused("count", request("GET /", ...fields(10)), 431), config);
  });

  it("that is not complete in time is answered with 408", async () => {
    const backend = await startRecorder();
    const { port } = await startGateway([backend.origin], limited({ headersTimeoutMs: SHORT_MS }));
    const client = sendRaw(port, `GET / HTTP/1.1\r\n${HOST}X-Slow: `);
    await eventually(client.closed, "the end of the connection");
    expect(answersOf(client)).toMatchObject([{ status: 408, complete: true }]);
    expect(backend.seen).toEqual([]);
  });

  it("that comes byte by byte gets no more time for it", async () => {
    const backend = await startRecorder();
    const { port } = await startGateway([backend.origin], limited({ headersTimeoutMs: SHORT_MS }));
    const client = sendRaw(port, `GET / HTTP/1.1\r\n${HOST}X-Slow: `);
    const drip = setInterval(() => client.socket.write("a"), SHORT_MS / 10);
    await eventually(client.closed, "the end of the connection").finally(() => clearInterval(drip));
    expect(answersOf(client)).toMatchObject([{ status: 408, complete: true }]);
    expect(backend.seen).toEqual([]);
  });

  it("of the second request on a connection has the same bound", async () => {
    const backend = await startRecorder();
    const { port } = await startGateway([backend.origin], limited({ headersTimeoutMs: SHORT_MS }));
    const client = sendRaw(port, `${request("GET /1")}GET /2 HTTP/1.1\r\n${HOST}X-Slow: `);
    await eventually(client.closed, "the end of the connection");
    expect(answersOf(client)).toMatchObject([{ status: 200 }, { status: 408 }]);
    expect(backend.seen.map(({ line }) => line)).toEqual(["GET /1 HTTP/1.1"]);
  });
});

describe("a connection", () => {
  it("without a request is closed after a while, and nothing is said", async () => {
    const backend = await startRecorder();
    const config = limited({ keepAliveMs: SHORT_MS, headersTimeoutMs: SHORT_MS });
    const { port } = await startGateway([backend.origin], config);
    const client = sendRaw(port, "");
    await eventually(client.closed, "the end of the connection");
    expect(client.received()).toBe("");
  });

  it("past the number for one address is closed at once", async () => {
    const backend = await startRecorder();
    const { port } = await startGateway([backend.origin], limited({ connectionsPerAddress: 2 }));
    const clients = [1, 2].map((i) => sendRaw(port, request(`GET /${i}`)));
    for (const client of clients) {
      await eventually(() => answersOf(client).some(({ complete }) => complete), "an answer");
    }
    const third = sendRaw(port, request("GET /3"));
    await eventually(third.closed, "the end of the third");
    expect(third.received()).toBe("");
    expect(clients.map(({ closed }) => closed())).toEqual([false, false]);
    expect(backend.seen.map(({ line }) => line).toSorted()).toEqual(["GET /1 HTTP/1.1", "GET /2 HTTP/1.1"]);
  });

  it("past the number for a listener is closed at once", async () => {
    const backend = await startRecorder();
    const { port } = await startGateway([backend.origin], limited({ connections: 1 }));
    const first = sendRaw(port, request("GET /1"));
    await eventually(() => answersOf(first).some(({ complete }) => complete), "an answer");
    const second = sendRaw(port, request("GET /2"));
    await eventually(second.closed, "the end of the second");
    expect(second.received()).toBe("");
    expect(backend.seen.map(({ line }) => line)).toEqual(["GET /1 HTTP/1.1"]);
  });
});

describe("a body", () => {
  const route = { name: "all", match: {}, proxy: "dynamic", pool: "p", ...BODY_MAX } as const;

  it.each(named(BODIES))("larger than the route allows is refused: %s", (_, raw) =>
    check(raw, { routes: [route] }),
  );

  it("of just the size the route allows passes", () =>
    check(
      {
        ...{ name: "just so", sends: post(["Content-Length: 10"], "hello worl"), gets: [200] },
        ...{ connection: "open", forwards: ["POST / HTTP/1.1"], body: "hello worl" },
      },
      { routes: [route] },
    ));

  it("whose client falls silent is cut off with 408, and never complete at the backend", async () => {
    const backend = await startRecorder();
    const { port, scheduling } = await startGateway([backend.origin], limited({ clientIdleMs: SHORT_MS }));
    const client = sendRaw(port, post(["Content-Length: 10"], "hello"));
    await eventually(client.closed, "the end of the connection");
    expect(answersOf(client)).toMatchObject([{ status: 408 }]);
    expect(backend.seen.filter(({ complete }) => complete)).toEqual([]);
    expect(scheduling.held()).toBe(0);
  });
});
