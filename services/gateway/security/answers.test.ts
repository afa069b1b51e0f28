// Answers of backends that are not what they should be: the client gets 502 and never a byte of the next one's answer, and
// what follows an answer unasked is nobody's.
import { describe, expect, it } from "vitest";
import {
  eventually,
  onRequestHead,
  sendRaw,
  startGateway,
  startRawBackend,
} from "../test-support/data-path.ts";
import { answersOf, HOST, request } from "../test-support/raw-cases.ts";
import { echo, startRecorder } from "../test-support/recorder.ts";

const OK = "HTTP/1.1 200 OK\r\n";
const KIB = 1024;

/** Sent in place of an answer; the connection stays open. */
const INVALID: readonly (readonly [name: string, bytes: string])[] = [
  ["no HTTP", "hello\r\n\r\n"],
  ["a record of TLS", "\x15\x03\x01\x00\x02\x02\x46\r\n\r\n"],
  ["a banner of SSH", "SSH-2.0-OpenSSH_9.2\r\n\r\n"],
  ["a request", request("GET /smuggled")],
  ["no status", "HTTP/1.1 \r\n\r\n"],
  ["a status of two digits", "HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n"],
  ["a status of four digits", "HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n"],
  ["a status that is no number", "HTTP/1.1 abc OK\r\ncontent-length: 0\r\n\r\n"],
  ["a status below 100", "HTTP/1.1 099 OK\r\ncontent-length: 0\r\n\r\n"],
  ["another version", "HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n"],
  ["a NUL in the reason", "HTTP/1.1 200 O\0K\r\ncontent-length: 0\r\n\r\n"],
  ["a bare CR in the reason", "HTTP/1.1 200 O\rX-Injected: 1\r\ncontent-length: 0\r\n\r\n"],
  ["both length and chunks", `${OK}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
  ["lengths that differ", `${OK}content-length: 5\r\ncontent-length: 6\r\n\r\nhello`],
  ["a list of lengths that differ", `${OK}content-length: 5, 6\r\n\r\nhello`],
  ["a length below zero", `${OK}content-length: -1\r\n\r\nhello`],
  ["a length that is no number", `${OK}content-length: five\r\n\r\nhello`],
  ["a length with a plus", `${OK}content-length: +5\r\n\r\nhello`],
  ["a length past all counting", `${OK}content-length: 99999999999999999999\r\n\r\nhello`],
  ["chunked twice", `${OK}transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n`],
  ["chunked, then identity", `${OK}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n`],
  ["a coding nobody knows", `${OK}transfer-encoding: cow\r\n\r\nhello`],
  ["a blank before a colon", `${OK}content-length : 5\r\n\r\nhello`],
  ["a blank in a name", `${OK}x a: 1\r\ncontent-length: 0\r\n\r\n`],
  ["a folded field", `${OK}x-a: 1\r\n 2\r\ncontent-length: 0\r\n\r\n`],
  ["a line without a colon", `${OK}nonsense\r\ncontent-length: 0\r\n\r\n`],
  ["an empty name", `${OK}: 1\r\ncontent-length: 0\r\n\r\n`],
  ["a NUL in a value", `${OK}x-a: \0\r\ncontent-length: 0\r\n\r\n`],
  ["a bare CR in a value", `${OK}x-a: 1\rx-injected: 2\r\ncontent-length: 0\r\n\r\n`],
  ["a bare LF between fields", `${OK}x-a: 1\nx-injected: 2\r\ncontent-length: 0\r\n\r\n`],
  ["a header section of 256 KiB", `${OK}x-a: ${"a".repeat(256 * KIB)}\r\ncontent-length: 0\r\n\r\n`],
  ["a header section without end", `${OK}x-a: ${"a".repeat(256 * KIB)}`],
  ["2,000 fields", `${OK}${"a: b\r\n".repeat(2_000)}content-length: 0\r\n\r\n`],
  [
    "an unasked switch of protocols",
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
  ],
];

/** Complete answers with something behind them, by method. */
const EXCESS: readonly (readonly [name: string, method: string, answer: string, body: string])[] = [
  ["more bytes than its length", "GET", `${OK}content-length: 5\r\n\r\nhello`, "hello"],
  [
    "bytes behind its last chunk",
    "GET",
    `${OK}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
    "hello",
  ],
  ["bytes behind an empty one", "GET", `${OK}content-length: 0\r\n\r\n`, ""],
  ["a body with 204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", ""],
  ["a body with 304", "GET", 'HTTP/1.1 304 Not Modified\r\netag: "x"\r\n\r\n', ""],
  ["a body for HEAD", "HEAD", `${OK}content-length: 5\r\n\r\n`, ""],
];

const EVIL = `${OK}content-length: 4\r\nx-evil: 1\r\n\r\nevil`;

describe("an answer that is not valid", () => {
  it.each(INVALID)("becomes 502, and the next request is served anew: %s", async (_, bytes) => {
    let first = true;
    const backend = await startRecorder((seen) => {
      const answer = first ? bytes : echo(seen);
      first = false;
      return answer;
    });
    const { port } = await startGateway([backend.origin]);
    const client = sendRaw(port, request("POST /1", "Content-Length: 0"));
    await eventually(() => answersOf(client).some(({ complete }) => complete), "an answer");
    expect(answersOf(client)).toMatchObject([{ status: 502, complete: true }]);
    expect(client.received()).not.toMatch(/injected|smuggled|hello/i);
    client.socket.write(request("GET /2"));
    await eventually(() => client.received().endsWith("GET /2 HTTP/1.1"), "the answer to the next request");
    expect(backend.seen.map(({ line }) => line)).toEqual(["POST /1 HTTP/1.1", "GET /2 HTTP/1.1"]);
  });

  it("interim answers without end are no answer", async () => {
    const origin = await startRawBackend((socket) =>
      onRequestHead(socket, () => {
        const more = () => {
          while (
            !socket.destroyed &&
            socket.write("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(100))
          );
        };
        socket.on("drain", more);
        more();
      }),
    );
    const { port } = await startGateway([origin]);
    const client = sendRaw(port, request("POST /", "Content-Length: 0"));
    await eventually(() => answersOf(client).length > 0, "an answer");
    expect(answersOf(client)).toMatchObject([{ status: 502 }]);
  });

  it("interim answers of endless kinds do not carry fields of the connection to the client", async () => {
    const origin = await startRawBackend((socket) =>
      onRequestHead(socket, () =>
        socket.write(
          "HTTP/1.1 103 Early Hints\r\nconnection: x-inner\r\nx-inner: secret\r\nlink: </a>\r\n\r\n" +
            `${OK}content-length: 2\r\n\r\nok`,
        ),
      ),
    );
    const { port } = await startGateway([origin]);
    const client = sendRaw(port, request("GET /"));
    await eventually(() => client.received().endsWith("ok"), "an answer");
    expect(client.received()).not.toContain("secret");
  });
});

describe("bytes behind an answer", () => {
  it.each(EXCESS)("never become the next answer: %s", async (_, method, answer, body) => {
    let connections = 0;
    const origin = await startRawBackend((socket) => {
      connections += 1;
      const own = connections === 1 ? answer + EVIL : `${OK}content-length: 4\r\n\r\ngood`;
      onRequestHead(socket, () => socket.write(own));
    });
    const { port } = await startGateway([origin]);
    const client = sendRaw(port, `${method} /1 HTTP/1.1\r\n${HOST}\r\n`);
    await eventually(() => client.received().includes("\r\n\r\n"), "the first answer");
    client.socket.write(request("GET /2"));
    await eventually(() => /(?:good|evil)$/.test(client.received()), "the second answer");
    expect(client.received()).not.toMatch(/evil/);
    if (method === "GET") expect(answersOf(client).map((one) => one.body)).toEqual([body, "good"]);
  });

  it("that come while nobody asks end their connection, and are nobody's answer", async () => {
    let connections = 0;
    let closed = false;
    const origin = await startRawBackend((socket) => {
      connections += 1;
      const own = connections === 1;
      socket.on("close", () => {
        closed ||= own;
      });
      socket.on("data", () => {
        socket.write(`${OK}content-length: 4\r\n\r\ngood`);
        if (own) setImmediate(() => setImmediate(() => socket.write(EVIL)));
      });
    });
    const { port } = await startGateway([origin]);
    const client = sendRaw(port, request("GET /1"));
    await eventually(() => closed, "the end of the backend's connection");
    client.socket.write(request("GET /2"));
    await eventually(
      () => answersOf(client).filter(({ complete }) => complete).length === 2,
      "the second answer",
    );
    expect(answersOf(client).map(({ body }) => body)).toEqual(["good", "good"]);
  });
});
