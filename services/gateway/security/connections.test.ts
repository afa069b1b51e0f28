// What belongs to a connection rather than to a message: switches of protocol, requests behind one another, versions,
// request lines, and forms of the target.
import { describe, expect, it } from "vitest";
import {
  eventually,
  onRequestHead,
  sendRaw,
  startGateway,
  startRawBackend,
} from "../test-support/data-path.ts";
import { check, HOST, post, type RawCase, request, turns } from "../test-support/raw-cases.ts";

const UPGRADE = ["Connection: Upgrade", "Upgrade: websocket"];

const line = (name: string, start: string, status: number | readonly number[] = 400): RawCase => ({
  name,
  sends: `${start}\r\n${HOST}\r\n${request("GET /smuggled")}`,
  gets: [status],
  connection: "closed",
  forwards: [],
});

const SWITCHES: RawCase[] = [
  {
    name: "an upgrade with a body is no upgrade",
    sends: post([...UPGRADE, "Content-Length: 5"], "hello"),
    gets: [200],
    connection: "open",
    forwards: ["POST / HTTP/1.1"],
    body: "hello",
    hides: ["websocket"],
  },
  {
    name: "an upgrade with chunks is no upgrade",
    sends: post([...UPGRADE, "Transfer-Encoding: chunked"], "5\r\nhello\r\n0\r\n\r\n"),
    gets: [200],
    connection: "open",
    forwards: ["POST / HTTP/1.1"],
    body: "hello",
    hides: ["websocket"],
  },
  {
    name: "an upgrade that is refused leaves the next request a request of its own, with our fields on it",
    sends: request("GET /ws", ...UPGRADE) + request("GET /next"),
    gets: [200, 200],
    connection: "open",
    forwards: ["GET /ws HTTP/1.1", "GET /next HTTP/1.1"],
    passes: ["x-forwarded-for: 127.0.0.1"],
  },
  {
    name: "an upgrade to h2c is not passed on, nor its settings",
    sends: request(
      "GET /",
      "Connection: Upgrade, HTTP2-Settings",
      "Upgrade: h2c",
      "HTTP2-Settings: AAMAAABkAAQ",
    ),
    gets: [200],
    connection: "open",
    forwards: ["GET / HTTP/1.1"],
    hides: ["h2c", "http2-settings", "AAMAAABkAAQ"],
  },
  {
    name: "an upgrade to h2c in a list is not passed on",
    sends: request("GET /", "Connection: Upgrade", "Upgrade: websocket, h2c"),
    gets: [200],
    connection: "open",
    forwards: ["GET / HTTP/1.1"],
    hides: ["h2c"],
  },
  {
    name: "an upgrade to TLS is not passed on",
    sends: request("OPTIONS /", "Connection: Upgrade", "Upgrade: TLS/1.2"),
    gets: [200],
    connection: "open",
    forwards: ["OPTIONS / HTTP/1.1"],
    hides: ["tls/1.2"],
  },
  {
    name: "Upgrade without Connection: upgrade is not passed on",
    sends: request("GET /", "Upgrade: websocket"),
    gets: [200],
    connection: "open",
    forwards: ["GET / HTTP/1.1"],
    hides: ["websocket"],
  },
  {
    name: "an upgrade in HTTP/1.0 is not passed on",
    sends: `GET / HTTP/1.0\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    gets: [200],
    connection: "closed",
    forwards: ["GET / HTTP/1.1"],
    hides: ["websocket"],
  },
];

const SEQUENCES: RawCase[] = [
  {
    name: "behind a refused request nothing is read",
    sends: request("GET /", "Bad Name: 1") + request("GET /smuggled"),
    gets: [400],
    connection: "closed",
    forwards: [],
  },
  {
    name: "requests before a refused one are answered, those behind it are not",
    sends: request("GET /1") + request("GET /2", "Content-Length: x") + request("GET /3"),
    gets: [200, 400],
    connection: "closed",
    forwards: ["GET /1 HTTP/1.1"],
  },
  {
    name: "requests sent at once are answered in their order",
    sends: [1, 2, 3, 4, 5].map((i) => request(`GET /${i}`)).join(""),
    gets: [200, 200, 200, 200, 200],
    connection: "open",
    forwards: [1, 2, 3, 4, 5].map((i) => `GET /${i} HTTP/1.1`),
  },
  {
    name: "behind Connection: close nothing is read",
    sends: request("GET /1", "Connection: close") + request("GET /smuggled"),
    gets: [200],
    connection: "closed",
    forwards: ["GET /1 HTTP/1.1"],
  },
  {
    name: "behind Connection: close in a list nothing is read",
    sends: request("GET /1", "Connection: x-a, Close") + request("GET /smuggled"),
    gets: [200],
    connection: "closed",
    forwards: ["GET /1 HTTP/1.1"],
  },
  {
    name: "behind an HTTP/1.0 request nothing is read",
    sends: `GET /1 HTTP/1.0\r\n${HOST}\r\n${request("GET /smuggled")}`,
    gets: [200],
    connection: "closed",
    forwards: ["GET /1 HTTP/1.1"],
  },
  {
    name: "an expectation that nobody knows is refused",
    sends: post(["Expect: a-miracle", "Content-Length: 5"], "hello"),
    gets: [417],
    connection: "closed",
    forwards: [],
  },
  {
    name: "an empty line before a request is skipped",
    sends: `\r\n${request("GET /")}`,
    gets: [200],
    connection: "open",
    forwards: ["GET / HTTP/1.1"],
  },
];

const LINES: RawCase[] = [
  line("no version", "GET /"),
  line("a version in small letters", "GET / http/1.1"),
  line("a version with more digits", "GET / HTTP/1.10"),
  line("a version without a dot", "GET / HTTP/11"),
  line("a version with a minus", "GET / HTTP/-1.1"),
  line("another protocol", "GET / ICY/1.1"),
  line("something behind the version", "GET / HTTP/1.1 x"),
  line("a blank behind the version", "GET / HTTP/1.1 "),
  line("a tab in place of a blank", "GET\t/ HTTP/1.1"),
  line("two blanks before the target", "GET  / HTTP/1.1"),
  line("two blanks behind the target", "GET /  HTTP/1.1"),
  line("a blank before the method", " GET / HTTP/1.1"),
  line("a method that is no token", "G(T / HTTP/1.1"),
  line("a method with a NUL", "G\0T / HTTP/1.1"),
  line("no method", "/ HTTP/1.1"),
  line("no target", "GET HTTP/1.1"),
  line("a bare LF behind the request line", "GET / HTTP/1.1\nX-A: b"),
  line("a bare CR behind the request line", "GET / HTTP/1.1\rX-A: b"),
  line("HTTP/2.0", "GET / HTTP/2.0", 505),
  line("HTTP/3.0", "GET / HTTP/3.0", 505),
  line("HTTP/0.9 by its number", "GET / HTTP/0.9", 505),
  line("CONNECT", "CONNECT shop.example:443 HTTP/1.1", [400, 405, 501]),
  line("CONNECT with a path", "CONNECT / HTTP/1.1", [400, 405, 501]),
  line("a record of TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
];

/** The message is well formed, so its connection may go on. */
const form = (name: string, start: string): RawCase => ({
  ...line(name, start),
  sends: `${start}\r\n${HOST}\r\n`,
  connection: "either",
});

const FORMS: RawCase[] = [
  form("an absolute form of another host", "GET http://evil.example/ HTTP/1.1"),
  form("an absolute form of another port", "GET http://shop.example:8080/ HTTP/1.1"),
  form("an absolute form with a user", "GET http://shop.example@evil.example/ HTTP/1.1"),
  form("an absolute form with a user before the right host", "GET http://a:b@shop.example/ HTTP/1.1"),
  form("an absolute form without a host", "GET http:///x HTTP/1.1"),
  form("an absolute form of another scheme", "GET ftp://shop.example/ HTTP/1.1"),
  form("an absolute form of a file", "GET file:///etc/passwd HTTP/1.1"),
  form("an absolute form with a backslash", "GET http://shop.example\\@evil.example/ HTTP/1.1"),
  form("an authority alone", "GET shop.example:80 HTTP/1.1"),
  form("a relative path", "GET admin HTTP/1.1"),
  form("a query alone", "GET ?a=b HTTP/1.1"),
  form("an asterisk with a GET", "GET * HTTP/1.1"),
];

const ABSOLUTE: RawCase[] = [
  ["http://shop.example/a?b=c", "/a?b=c"],
  ["http://SHOP.example/a", "/a"],
  ["http://shop.example", "/"],
  ["http://shop.example?b=c", "/?b=c"],
].map(([target, forwarded]) => ({
  name: `${target} is forwarded as ${forwarded}`,
  sends: request(`GET ${target}`),
  gets: [200],
  connection: "open",
  forwards: [`GET ${forwarded} HTTP/1.1`],
}));

const named = (cases: readonly RawCase[]) => cases.map((raw) => [raw.name, raw] as const);

describe("a switch of protocols", () => {
  it.each(named(SWITCHES))("%s", (_, raw) => check(raw));

  it("lets nothing the client has sent reach the backend before it has agreed", async () => {
    let agree = () => {};
    let bytes = "";
    const origin = await startRawBackend((socket) => {
      socket.on("data", (chunk) => {
        bytes += chunk.toString("latin1");
      });
      onRequestHead(socket, () => {
        agree = () =>
          socket.write(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
          );
      });
    });
    const { port } = await startGateway([origin]);
    const client = sendRaw(port, `${request("GET /ws", ...UPGRADE)}${request("GET /early")}`);
    await eventually(() => bytes.includes("\r\n\r\n"), "the upgrade at the backend");
    await turns(200);
    expect(bytes).not.toContain("/early");
    agree();
    await eventually(() => client.received().includes(" 101 "), "the switch");
    await eventually(() => bytes.includes("GET /early"), "the early bytes, now that they are the tunnel's");
  });

  it("answers a backend that switches unasked with 502", async () => {
    const origin = await startRawBackend((socket) =>
      onRequestHead(socket, () =>
        socket.write(
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nevil",
        ),
      ),
    );
    const { port } = await startGateway([origin]);
    const client = sendRaw(port, request("GET /"));
    await eventually(() => client.received().includes("\r\n\r\n"), "an answer");
    expect(client.received()).toMatch(/^HTTP\/1\.1 502 /);
    expect(client.received()).not.toContain("evil");
  });

  it("answers a backend that switches to something else with 502", async () => {
    const origin = await startRawBackend((socket) =>
      onRequestHead(socket, () =>
        socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nevil"),
      ),
    );
    const { port } = await startGateway([origin]);
    const client = sendRaw(port, request("GET /", ...UPGRADE));
    await eventually(() => client.received().includes("\r\n\r\n"), "an answer");
    expect(client.received()).toMatch(/^HTTP\/1\.1 502 /);
    expect(client.received()).not.toContain("evil");
  });
});

describe("requests of one connection", () => {
  it.each(named(SEQUENCES))("%s", (_, raw) => check(raw));
});

describe("a request line", () => {
  it.each(named(LINES))("is refused: %s", (_, raw) => check(raw));

  it("of HTTP/2 is refused where HTTP/2 is not offered", () =>
    check(
      {
        ...{ name: "preface", sends: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0" },
        ...{ gets: [[400, 505]], connection: "closed", forwards: [] },
      },
      { listeners: [{ name: "web", protocol: "http", port: 0, address: "127.0.0.1", http2: false }] },
    ));
});

describe("a target", () => {
  it.each(named(FORMS))("is refused: %s", (_, raw) => check(raw));
  it.each(named(ABSOLUTE))("%s", (_, raw) => check(raw));
});
