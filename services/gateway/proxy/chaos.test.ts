import type { Socket } from "node:net";
import type { RouteDocument } from "@evenkeel/core/config/schema.ts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  closedOrigin,
  eventually,
  type RawClient,
  sendRaw,
  startGateway,
  startRawBackend,
  type TestGateway,
} from "../test-support/data-path.ts";

const LENGTH = 3_000;
/** What a backend says when it says all of it; two parts, so that it can break off between them. */
const FIRST = `begin ${"x".repeat(LENGTH)}`;
const SECOND = `${"y".repeat(LENGTH)} end`;
const WHOLE = FIRST + SECOND;
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
const BY_LENGTH = `HTTP/1.1 200 OK\r\nContent-Length: ${WHOLE.length}\r\n\r\n`;
const BY_CHUNKS = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/** How a backend treats a request once its header section is there. */
const BEHAVIOURS: Record<string, (socket: Socket) => void> = {
  length: (socket) => socket.write(BY_LENGTH + WHOLE),
  chunks: (socket) => socket.write(`${BY_CHUNKS}${chunk(FIRST)}${chunk(SECOND)}0\r\n\r\n`),
  close: (socket) => socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${WHOLE}`),
  late: (socket) => void setTimeout(() => socket.write(BY_LENGTH + WHOLE), 15),
  parts: (socket) => {
    socket.write(BY_CHUNKS + chunk(FIRST));
    setTimeout(() => socket.write(`${chunk(SECOND)}0\r\n\r\n`), 5);
  },
  hints: (socket) => socket.write(`HTTP/1.1 103 Early Hints\r\n\r\n${BY_LENGTH}${WHOLE}`),
  "length-cut": (socket) => socket.end(BY_LENGTH + FIRST),
  "chunks-cut": (socket) => socket.end(BY_CHUNKS + chunk(FIRST)),
  "chunks-unended": (socket) => socket.end(BY_CHUNKS + chunk(FIRST) + chunk(SECOND)),
  "parts-reset": (socket) => {
    socket.write(BY_CHUNKS + chunk(FIRST));
    setTimeout(() => socket.resetAndDestroy(), 5);
  },
  "head-cut": (socket) => socket.end(BY_LENGTH.slice(0, -3)),
  closes: (socket) => socket.end(),
  resets: (socket) => socket.resetAndDestroy(),
  "resets-late": (socket) => void setTimeout(() => socket.resetAndDestroy(), 10),
  garbage: (socket) => socket.write("what is this\r\n\r\n"),
  silent: () => {},
};

/** One that does with each request what its path says for the backend of this place. @param note told of each one */
const startBehaving = (place: number, note: (method: string, id: string) => void) =>
  startRawBackend((socket) => {
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
      const [head] = text.split("\r\n\r\n", 1);
      const read = /^([A-Z]+) \/\w+\/([\w,-]+)\?(\d+) HTTP\/1\.1\r\n/.exec(head ?? "");
      if (read === null || !text.includes("\r\n\r\n")) return;
      const [, method = "", behaviours = "", id = ""] = read;
      note(method, id);
      text = ""; // what is left of a body begins with no request line
      BEHAVIOURS[behaviours.split(",")[place] as string]?.(socket);
    });
  });

const REQUESTS = {
  GET: (path: string) => [`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`],
  POST: (path: string) => [`POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab`, "cde"],
  PUT: (path: string) => [
    `PUT ${path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${chunk("a".repeat(70_000))}`,
    "0\r\n\r\n",
  ],
} as const;

/** What a client does after the first piece of its request. */
const CLIENTS = [
  "reads",
  "reads",
  "reads",
  "pauses",
  "ends",
  "leaves",
  "leaves-late",
  "leaves-midway",
] as const;

const exchangeOf = fc.record({
  route: fc.constantFrom("plain", "once", "hedged", "bound", "limited"),
  backends: fc.array(fc.constantFrom(...Object.keys(BEHAVIOURS)), { minLength: 3, maxLength: 3 }),
  method: fc.constantFrom("GET", "GET", "POST", "PUT"),
  client: fc.constantFrom(...CLIENTS),
});
type Case = typeof exchangeOf extends fc.Arbitrary<infer T> ? T : never;

const left = (client: string) => client.startsWith("leaves");

function play(port: number, id: number, { route, backends, method, client: behaviour }: Case): RawClient {
  const path = `/${route}/${backends.join(",")}?${id}`;
  const [first = "", ...rest] = REQUESTS[method as keyof typeof REQUESTS](path);
  const client = sendRaw(port, first);
  const { socket } = client;
  if (behaviour === "leaves") setImmediate(() => socket.resetAndDestroy());
  else if (behaviour === "leaves-late") setTimeout(() => socket.resetAndDestroy(), 12);
  else if (behaviour === "leaves-midway") socket.once("data", () => socket.resetAndDestroy());
  if (behaviour === "pauses") {
    socket.pause();
    setTimeout(() => socket.resume(), 20);
  }
  const goOn = () => {
    if (socket.destroyed) return;
    for (const piece of rest) socket.write(piece);
    if (behaviour === "ends") socket.end();
  };
  if (rest.length > 0) setTimeout(goOn, 3);
  else goOn();
  return client;
}

/** The body of the one final answer as its framing tells it; null: it is not there in full. */
function wholeBody(received: string): string | null {
  const final = received.replace(/^(HTTP\/1\.1 1\d\d .*\r\n(.+\r\n)*\r\n)*/, "");
  const end = final.indexOf("\r\n\r\n");
  if (end < 0) return null;
  const [head, body] = [final.slice(0, end), final.slice(end + 4)];
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
  if (length !== undefined) {
    expect(body.length, "no more than was declared").toBeLessThanOrEqual(Number(length));
    return body.length === Number(length) ? body : null;
  }
  expect(head.toLowerCase()).toContain("\r\ntransfer-encoding: chunked");
  let text = "";
  for (let at = 0; ; ) {
    const line = body.indexOf("\r\n", at);
    if (line < 0) return null;
    const size = Number.parseInt(body.slice(at, line), 16);
    if (size === 0) return body.endsWith("0\r\n\r\n") ? text : null;
    text += body.slice(line + 2, line + 2 + size);
    at = line + 2 + size + 2;
    if (at > body.length) return null;
  }
}

async function startChaos(note: (method: string, id: string) => void): Promise<TestGateway> {
  const backends = await Promise.all([0, 1, 2].map((place) => startBehaving(place, note)));
  const members = backends.map((url, i) => ({ id: `b${i + 1}`, url }));
  const closed = { id: "b0", url: await closedOrigin() };
  const pools = [
    { name: "p", backends: members },
    { name: "h", backends: members, hedge: { budgetPercent: 100 } },
    { name: "c", backends: [closed, ...members], breaker: { failures: 2, openMs: 20 } },
  ];
  const timeouts = { responseHeadersMs: 60, idleMs: 200 };
  const dynamic = { proxy: "dynamic", timeouts } as const;
  const routes: RouteDocument[] = [
    { ...dynamic, name: "plain", match: { path: "/plain/*" }, pool: "p" },
    { ...dynamic, name: "once", match: { path: "/once/*" }, pool: "c", retries: 0 },
    { ...dynamic, name: "hedged", match: { path: "/hedged/*" }, pool: "h", retries: 1 },
    { name: "bound", match: { path: "/bound/*" }, proxy: "static", pool: "p", backend: "b2", timeouts },
    {
      ...{ ...dynamic, name: "limited", match: { path: "/limited/*" }, pool: "c", maxBodyBytes: 50_000 },
      timeouts: { ...timeouts, requestMs: 40 },
    },
  ];
  const gateway = await startGateway([], { pools, routes });
  const warm = sendRaw(gateway.port, "");
  for (let i = 1; i <= 100; i += 1) {
    warm.socket.write("GET /hedged/length,length,length?0 HTTP/1.1\r\nHost: h\r\n\r\n");
    await eventually(() => gateway.logged.length === i, "an answer");
  }
  return gateway;
}

describe("whatever backends and clients do", () => {
  it("every pick is released once, no POST is sent twice, and no part of an answer looks whole", async () => {
    const posted = new Set<string>();
    const twice: string[] = [];
    const { port, scheduling, logged } = await startChaos((method, id) => {
      if (method !== "POST") return;
      if (posted.has(id)) twice.push(id);
      posted.add(id);
    });
    let ids = 0;
    const seen = { whole: 0, refused: 0, cut: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(exchangeOf, { minLength: 1, maxLength: 12 }), async (cases) => {
        logged.length = 0;
        const clients = cases.map((one) => {
          ids += 1;
          return { ...one, raw: play(port, ids, one) };
        });
        const done = ({ raw }: (typeof clients)[number]) =>
          raw.closed() || wholeBody(raw.received()) !== null;
        await eventually(() => clients.every(done), "an answer or a cut connection for each client");
        await eventually(() => scheduling.held() === 0, "the release of every pick");
        for (const { raw, client } of clients) {
          const body = wholeBody(raw.received());
          const refusal = body !== null && /^[45]\d\d [A-Z][\w -]+: .*\n$/.test(body);
          if (body !== null && !refusal) expect(body).toBe(WHOLE);
          if (!left(client)) seen[body === null ? "cut" : refusal ? "refused" : "whole"] += 1;
          raw.socket.resetAndDestroy();
        }
        expect(scheduling.released).toHaveLength(scheduling.picked.length);
        expect(twice).toEqual([]);
      }),
      { seed: 11, numRuns: 60, endOnFailure: true },
    );
    // What was tried was not always the same.
    expect(posted.size).toBeGreaterThan(10);
    expect(Math.min(seen.whole, seen.refused, seen.cut)).toBeGreaterThan(10);
  }, 60_000);
});
