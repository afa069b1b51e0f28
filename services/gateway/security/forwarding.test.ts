// What a client says of where it comes from, and fields that speak of one connection only: neither may fool the backend,
// nor take away what the gateway says.
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it } from "vitest";
import {
  eventually,
  onRequestHead,
  sendRaw,
  startGateway,
  startRawBackend,
} from "../test-support/data-path.ts";
import { answersOf, check, post, type RawCase, request } from "../test-support/raw-cases.ts";

const TRUSTED: Partial<ConfigDocument> = { trustedProxies: ["127.0.0.0/8"] };

const passed = (name: string, fields: string[], more: Partial<RawCase>): RawCase => ({
  name,
  sends: request("GET /", ...fields),
  gets: [200],
  connection: "open",
  forwards: ["GET / HTTP/1.1"],
  ...more,
});

const OWN = [
  "x-forwarded-for: 127.0.0.1",
  "x-forwarded-proto: http",
  "x-forwarded-host: shop.example",
  'forwarded: for=127.0.0.1;host="shop.example";proto=http',
];

/** Of a peer that is not trusted: not a byte of it arrives, and what we say does. */
const SPOOFED: RawCase[] = [
  "X-Forwarded-For: 6.6.6.6",
  "x-FORWARDED-for: 6.6.6.6",
  "X_Forwarded_For: 6.6.6.6",
  "X-Forwarded_For: 6.6.6.6",
  "X-Forwarded-For: 6.6.6.6, 127.0.0.1",
  "X-Forwarded-Proto: 6.6.6.6",
  "X-Forwarded-Host: 6.6.6.6",
  "X_Forwarded_Host: 6.6.6.6",
  "X-Forwarded-Port: 6.6.6.6",
  "X-Forwarded-Prefix: /6.6.6.6",
  "X-Forwarded-Server: 6.6.6.6",
  "X-Forwarded-Ssl: 6.6.6.6",
  "X-Forwarded-Anything: 6.6.6.6",
  "X-Real-IP: 6.6.6.6",
  "X_Real_IP: 6.6.6.6",
  "Forwarded: for=6.6.6.6",
  'Forwarded: for="6.6.6.6";proto=https, for=127.0.0.1',
].map((field) => passed(field, [field, field], { passes: OWN, hides: ["6.6.6.6"] }));

const BELIEVED: RawCase[] = [
  passed("X-Forwarded-For is extended", ["X-Forwarded-For: 6.6.6.6"], {
    passes: ["x-forwarded-for: 6.6.6.6, 127.0.0.1"],
  }),
  passed(
    "several X-Forwarded-For are extended in their order",
    ["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 7.7.7.7"],
    {
      passes: ["x-forwarded-for: 6.6.6.6, 7.7.7.7, 127.0.0.1"],
    },
  ),
  passed("Forwarded is extended", ["Forwarded: for=6.6.6.6"], {
    passes: ['forwarded: for=6.6.6.6, for=127.0.0.1;host="shop.example";proto=http'],
  }),
  passed("X-Forwarded-Proto is kept", ["X-Forwarded-Proto: https"], { passes: ["x-forwarded-proto: https"] }),
  passed("X-Real-IP is kept", ["X-Real-IP: 6.6.6.6"], { passes: ["x-real-ip: 6.6.6.6"] }),
  passed("an underscore spelling is not believed even so", ["X_Forwarded_For: 6.6.6.6"], {
    passes: ["x-forwarded-for: 127.0.0.1"],
    hides: ["6.6.6.6"],
  }),
];

const HOP: RawCase[] = [
  passed("Connection cannot take away X-Forwarded-For", ["Connection: X-Forwarded-For"], { passes: OWN }),
  passed(
    "Connection cannot take away any of ours",
    ["Connection: forwarded, x-forwarded-proto, x-forwarded-host"],
    {
      passes: OWN,
    },
  ),
  passed("Connection cannot take away Host", ["Connection: Host"], { passes: ["host: shop.example"] }),
  {
    ...passed("Connection cannot take away Content-Length", [], { body: "hello" }),
    sends: post(["Connection: Content-Length", "Content-Length: 5"], "hello"),
    forwards: ["POST / HTTP/1.1"],
  },
  {
    ...passed("Connection cannot take away Transfer-Encoding", [], { body: "hello" }),
    sends: post(["Connection: Transfer-Encoding", "Transfer-Encoding: chunked"], "5\r\nhello\r\n0\r\n\r\n"),
    forwards: ["POST / HTTP/1.1"],
  },
  passed("what Connection names does not arrive", ["Connection: X-Private", "X-Private: secret"], {
    hides: ["x-private", "secret"],
  }),
  passed(
    "what one of several Connection fields names does not arrive",
    ["Connection: keep-alive", "X-Private: secret", "Connection: x-PRIVATE"],
    {
      hides: ["x-private", "secret"],
    },
  ),
  passed("Keep-Alive does not arrive", ["Keep-Alive: timeout=6666"], { hides: ["6666"] }),
  passed("Proxy-Authorization does not arrive", ["Proxy-Authorization: Basic c2VjcmV0"], {
    hides: ["c2VjcmV0"],
  }),
  passed("Proxy-Connection does not arrive", ["Proxy-Connection: keep-alive"], {
    hides: ["proxy-connection"],
  }),
  passed("Proxy-Authenticate does not arrive", ["Proxy-Authenticate: Basic"], {
    hides: ["proxy-authenticate"],
  }),
  passed("TE does not arrive but for trailers", ["TE: gzip;q=0.5, trailers"], {
    passes: ["te: trailers"],
    hides: ["gzip"],
  }),
  passed("TE without trailers does not arrive", ["TE: gzip"], { hides: ["gzip"] }),
  passed("Trailer of a request without one does not arrive", ["Trailer: X-Secret"], { hides: ["x-secret"] }),
  passed("Upgrade to what nobody asked the connection for does not arrive", ["Upgrade: foo/2"], {
    hides: ["foo/2"],
  }),
  passed("a Connection field with nothing in it takes nothing away", ["Connection: ,,  ,", "X-Kept: yes"], {
    passes: ["x-kept: yes", ...OWN],
  }),
];

/** Answers of backends: fields, and what must not reach the client. */
const ANSWERS: readonly (readonly [name: string, fields: string[], hidden: string])[] = [
  ["what Connection names", ["Connection: X-Inner", "X-Inner: secret"], "secret"],
  [
    "what a second Connection field names",
    ["Connection: close", "Connection: X-Inner", "X-Inner: secret"],
    "secret",
  ],
  ["Keep-Alive", ["Keep-Alive: timeout=6666"], "6666"],
  ["Proxy-Authenticate", ["Proxy-Authenticate: Basic realm=secret"], "secret"],
  ["Proxy-Connection", ["Proxy-Connection: secret"], "secret"],
  ["Upgrade of an answer that switches nothing", ["Upgrade: secret/1"], "secret"],
  ["TE", ["TE: secret"], "secret"],
];

const named = (cases: readonly RawCase[]) => cases.map((raw) => [raw.name, raw] as const);

describe("forwarding fields", () => {
  it.each(named(SPOOFED))("of a peer that is not trusted are replaced: %s", (_, raw) => check(raw));
  it.each(named(BELIEVED))("of a trusted peer: %s", (_, raw) => check(raw, TRUSTED));
});

describe("fields of one connection", () => {
  it.each(named(HOP))("%s", (_, raw) => check(raw));

  it.each(ANSWERS)("of an answer do not reach the client: %s", async (_, fields, hidden) => {
    const { client, answer } = await answered(fields);
    expect(answer).toMatchObject({ status: 200, body: "hello", complete: true });
    expect(client.received()).not.toContain(hidden);
    expect(answer?.head).toMatch(/\r\nX-Outer: 1/i);
  });

  it("of an answer cannot take away its length", async () => {
    const { answer } = await answered(["Connection: Content-Length, X-Outer"]);
    expect(answer).toMatchObject({ status: 200, body: "hello", complete: true });
    expect(answer?.head).not.toMatch(/X-Outer/i);
  });
});

async function answered(fields: readonly string[]) {
  const head = ["HTTP/1.1 200 OK", "X-Outer: 1", "Content-Length: 5", ...fields].join("\r\n");
  const origin = await startRawBackend((socket) =>
    onRequestHead(socket, () => socket.write(`${head}\r\n\r\nhello`)),
  );
  const { port } = await startGateway([origin]);
  const client = sendRaw(port, request("GET /"));
  await eventually(() => answersOf(client).some(({ complete }) => complete), "an answer");
  return { client, answer: answersOf(client)[0] };
}
