// A response cut off upstream is never presented as complete, and a request that may have had an effect is never sent a
// second time.
import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import {
  closedOrigin,
  eventually,
  type RawClient,
  sendRaw,
  startGateway,
  startRawBackend,
} from "../test-support/data-path.ts";
import { answersOf, HOST, post, request } from "../test-support/raw-cases.ts";
import { startRecorder } from "../test-support/recorder.ts";

const OK = "HTTP/1.1 200 OK\r\n";

/** What the backend sends, and how its connection ends then. */
const CUT: readonly (readonly [name: string, bytes: string, end: "fin" | "reset" | "open"])[] = [
  ["a length too short, then the end", `${OK}content-length: 10\r\n\r\nhello`, "fin"],
  ["a length too short, then a reset", `${OK}content-length: 10\r\n\r\nhello`, "reset"],
  ["chunks without the last, then the end", `${OK}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n`, "fin"],
  ["chunks without the last, then a reset", `${OK}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n`, "reset"],
  ["a chunk cut off", `${OK}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\na\r\nhel`, "fin"],
  ["a size cut off", `${OK}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n1`, "fin"],
  [
    "the last chunk without its last line",
    `${OK}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n`,
    "fin",
  ],
  ["trailers cut off", `${OK}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 4`, "fin"],
  ["no length, then a reset", `${OK}\r\nhello`, "reset"],
  ["a chunk without a valid size", `${OK}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n`, "open"],
  ["a chunk longer than its size", `${OK}transfer-encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n`, "open"],
  [
    "a chunk's size past all counting",
    `${OK}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\nffffffffffffffffff\r\n`,
    "open",
  ],
  [
    "a bare LF behind a chunk's size",
    `${OK}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n5\nhello\r\n0\r\n\r\n`,
    "open",
  ],
  [
    "trailers that are not valid",
    `${OK}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx y: 1\r\n\r\n`,
    "open",
  ],
];

const finish = (socket: Socket, end: "fin" | "reset" | "open") => {
  if (end === "fin") socket.end();
  if (end === "reset") socket.resetAndDestroy();
};

/** The head and the body's beginning first, so that they are on their way to the client when the rest is not. */
const cutBackend = (bytes: string, end: "fin" | "reset" | "open", started: () => boolean) =>
  startRawBackend((socket) => {
    const begin = bytes.indexOf("hello") + 5;
    socket.once("data", async () => {
      socket.write(bytes.slice(0, begin));
      await eventually(started, "the beginning at the client");
      socket.write(bytes.slice(begin), () => finish(socket, end));
    });
  });

describe("a response cut off upstream", () => {
  it.each(CUT)("is not complete at the client, whose connection ends: %s", async (_, bytes, end) => {
    let client: RawClient | null = null;
    const origin = await cutBackend(bytes, end, () => client?.received().includes("hello") ?? false);
    const { port, scheduling } = await startGateway([origin]);
    client = sendRaw(port, request("GET /") + request("GET /next"));
    await eventually(client.closed, "the end of the connection");
    const answers = answersOf({ ...client, closed: () => false });
    expect(answers).toHaveLength(1);
    expect(answers[0]).toMatchObject({ status: 200, complete: false });
    expect(scheduling.released).toMatchObject([{ outcome: "failure" }]);
  });

  it.each(CUT.filter(([name]) => name.includes("chunk") || name.startsWith("no length")))(
    "reaches a client of HTTP/1.0 as a reset, since the end of the connection would say that it is whole: %s",
    async (_, bytes, end) => {
      let client: RawClient | null = null;
      const origin = await cutBackend(bytes, end, () => client?.received().includes("hello") ?? false);
      const { port } = await startGateway([origin]);
      client = sendRaw(port, `GET / HTTP/1.0\r\n${HOST}\r\n`);
      const failed: string[] = [];
      client.socket.on("error", ({ code }: NodeJS.ErrnoException) => failed.push(code ?? ""));
      await eventually(client.closed, "the end of the connection");
      expect(failed).toEqual(["ECONNRESET"]);
    },
  );

  it.each([
    ["before its header section", ""],
    ["within its status line", "HTTP/1.1 20"],
    ["within its header section", `${OK}content-length: 5\r\nx-a`],
  ])("%s is 502 to a POST", async (_, bytes) => {
    const origin = await startRawBackend((socket) => socket.once("data", () => socket.end(bytes)));
    const { port } = await startGateway([origin]);
    const client = sendRaw(port, request("POST /", "Content-Length: 0"));
    await eventually(() => answersOf(client).some(({ complete }) => complete), "an answer");
    expect(answersOf(client)).toMatchObject([{ status: 502, complete: true }]);
  });
});

type Break = (socket: Socket, text: string) => void;

/** When the first backend gives up, by all it has read so far. */
const BREAKS: readonly (readonly [name: string, giveUp: Break])[] = [
  ["with the first byte of the request", (socket) => socket.resetAndDestroy()],
  ["behind the header section", (socket, text) => text.includes("\r\n\r\n") && socket.resetAndDestroy()],
  ["in the middle of the body", (socket, text) => text.includes("12345") && socket.resetAndDestroy()],
  [
    "behind the whole request, by a reset",
    (socket, text) => text.includes("67890") && socket.resetAndDestroy(),
  ],
  ["behind the whole request, by an end", (socket, text) => text.includes("67890") && socket.end()],
  ["in the middle of its status line", (socket, text) => text.includes("67890") && socket.end("HTTP/1.1 2")],
  [
    "in the middle of its header section",
    (socket, text) => text.includes("67890") && socket.end(`${OK}x-a: `),
  ],
  [
    "with an answer that is not valid",
    (socket, text) => text.includes("67890") && socket.write("nonsense\r\n\r\n"),
  ],
];

/** b1 breaks, b2 answers. */
async function breaking(giveUp: Break) {
  let requests = 0;
  const bad = await startRawBackend((socket) => {
    let text = "";
    socket.on("data", (chunk) => {
      if (text === "") requests += 1;
      text += chunk.toString("latin1");
      giveUp(socket, text);
    });
  });
  const good = await startRecorder();
  const gateway = await startGateway([bad, good.origin]);
  return { ...gateway, good, requests: () => requests };
}

const BODY = "1234567890";

describe("a request", () => {
  describe.each(["POST", "PATCH"])("of %s that was sent", (method) => {
    it.each(BREAKS)("is never repeated when the backend breaks %s", async (_, giveUp) => {
      const { port, good, requests } = await breaking(giveUp);
      const client = sendRaw(port, request(`${method} /`, `Content-Length: ${BODY.length}`) + BODY);
      await eventually(() => answersOf(client).some(({ complete }) => complete), "an answer");
      expect(answersOf(client)).toMatchObject([{ status: 502 }]);
      expect(requests()).toBe(1);
      expect(good.seen).toEqual([]);
    });
  });

  it.each(["GET", "PUT", "DELETE"])("of %s may be repeated on another backend", async (method) => {
    const { port, good, requests } = await breaking((socket, text) => text.includes("67890") && socket.end());
    const client = sendRaw(port, request(`${method} /`, `Content-Length: ${BODY.length}`) + BODY);
    await eventually(() => answersOf(client).some(({ complete }) => complete), "an answer");
    expect(answersOf(client)).toMatchObject([{ status: 200 }]);
    expect(requests()).toBe(1);
    expect(good.seen).toMatchObject([{ line: `${method} / HTTP/1.1`, body: BODY, complete: true }]);
  });

  it("of POST that was never sent goes to another backend, once", async () => {
    const good = await startRecorder();
    const { port } = await startGateway([await closedOrigin(), good.origin]);
    const client = sendRaw(port, post([`Content-Length: ${BODY.length}`], BODY));
    await eventually(() => answersOf(client).some(({ complete }) => complete), "an answer");
    expect(answersOf(client)).toMatchObject([{ status: 200 }]);
    expect(good.seen).toMatchObject([{ line: "POST / HTTP/1.1", body: BODY, complete: true }]);
  });

  it("of GET is not repeated once a part of its answer has reached the client", async () => {
    let client: RawClient | null = null;
    const started = () => client?.received().includes("hello") ?? false;
    const bad = await cutBackend(`${OK}content-length: 10\r\n\r\nhello`, "reset", started);
    const good = await startRecorder();
    const { port } = await startGateway([bad, good.origin]);
    client = sendRaw(port, request("GET /"));
    await eventually(client.closed, "the end of the connection");
    expect(good.seen).toEqual([]);
  });

  it("of POST on a connection that the backend closes just then is not repeated elsewhere after it was read", async () => {
    let posts = 0;
    const bad = await startRawBackend((socket) =>
      socket.on("data", (chunk) => {
        if (chunk.toString("latin1").startsWith("GET"))
          return socket.write(`${OK}content-length: 2\r\n\r\nok`);
        posts += 1;
        return socket.resetAndDestroy();
      }),
    );
    const good = await startRecorder();
    const { port } = await startGateway([bad, good.origin]);
    const client = sendRaw(port, request("GET /"));
    await eventually(() => client.received().endsWith("ok"), "a connection to the backend that is kept");
    client.socket.write(post([`Content-Length: ${BODY.length}`], BODY));
    await eventually(() => answersOf(client).filter(({ complete }) => complete).length === 2, "an answer");
    expect(answersOf(client)[1]).toMatchObject({ status: 502 });
    expect(posts).toBe(1);
    expect(good.seen).toEqual([]);
  });
});
