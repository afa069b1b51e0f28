import { createHash } from "node:crypto";
import { type IncomingMessage, request } from "node:http";
import { describe, expect, it } from "vitest";
import {
  eventually,
  send,
  sendRaw,
  startBackend,
  startGateway,
  startRawBackend,
} from "../test-support/data-path.ts";

const MIB = 1024 * 1024;
/** More than all socket buffers on the way can hold together. */
const LARGE = Buffer.alloc(20 * MIB, "0123456789abcdef!");
const sha = (data: Buffer) => createHash("sha256").update(data).digest("hex");

function bodyOf(message: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    message.on("data", (chunk: Buffer) => chunks.push(chunk));
    message.on("end", () => resolve(Buffer.concat(chunks)));
  });
}

describe("bodies", () => {
  it.each(["content-length", "transfer-encoding"])(
    "of 20 MiB pass both ways intact, by %s",
    async (framing) => {
      const origin = await startBackend(async (incoming, response) => {
        const body = await bodyOf(incoming);
        response.setHeader("x-framing", incoming.headers["content-length"] ?? "chunked");
        if (framing === "content-length") response.setHeader("content-length", body.length);
        response.end(body);
      });
      const { url, scheduling } = await startGateway([origin]);
      const headers = { [framing]: framing === "content-length" ? String(LARGE.length) : "chunked" };
      const answer = await send(url, { method: "POST", headers, body: LARGE });
      expect(sha(answer.body)).toBe(sha(LARGE));
      expect(answer.headers["x-framing"]).toBe(
        framing === "content-length" ? String(LARGE.length) : "chunked",
      );
      expect(scheduling.released).toMatchObject([{ outcome: "success" }]);
      expect(scheduling.held()).toBe(0);
    },
  );

  it.each([
    ["POST", "small"],
    ["POST", ""],
    ["PUT", "x".repeat(64 * 1024)],
    ["PUT", "x".repeat(64 * 1024 + 1)],
    ["DELETE", "with a body"],
    ["GET", "with a body"],
  ])("%s with %.20j arrives whole", async (method, body) => {
    let seen = "";
    const origin = await startBackend(async (incoming, response) => {
      seen = `${incoming.method} ${(await bodyOf(incoming)).toString()}`;
      response.end();
    });
    const { url } = await startGateway([origin]);
    await send(url, { method, body, headers: { "content-length": String(body.length) } });
    expect(seen === `${method} ${body}`).toBe(true);
  });

  it("are sent on as they come, and so is the answer's header section", async () => {
    const heard: string[] = [];
    const origin = await startBackend((incoming, response) => {
      response.writeHead(200, { "x-early": "1" });
      response.flushHeaders();
      incoming.on("data", (chunk: Buffer) => {
        heard.push(chunk.toString());
        response.write(`echo ${chunk}`);
      });
      incoming.on("end", () => response.end());
    });
    const { port } = await startGateway([origin]);
    const client = sendRaw(
      port,
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n",
    );
    await eventually(() => client.received().includes("x-early: 1"), "the header section before any end");
    await eventually(() => client.received().includes("echo one"), "the first piece");
    client.socket.write("3\r\ntwo\r\n");
    await eventually(() => client.received().includes("echo two"), "the second piece");
    client.socket.write("0\r\n\r\n");
    await eventually(() => client.received().endsWith("\r\n0\r\n\r\n"), "the end");
    expect(heard).toEqual(["one", "two"]);
  });

  it("a header section without a body yet is not held back", async () => {
    const origin = await startBackend(
      (_, response) => void response.writeHead(200, { "x-early": "1" }).flushHeaders(),
    );
    const { port, scheduling } = await startGateway([origin]);
    const client = sendRaw(port, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await eventually(() => client.received().includes("x-early: 1"), "the header section");
    expect(scheduling.held()).toBe(1);
  });

  it("a client that does not read stops the backend from sending, and gets all of it when it does", async () => {
    let written = 0;
    let finished = false;
    const origin = await startRawBackend((socket) => {
      socket.once("data", () => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${LARGE.length}\r\n\r\n`);
        const more = () => {
          while (written < LARGE.length) {
            const piece = LARGE.subarray(written, written + 64 * 1024);
            written += piece.length;
            if (!socket.write(piece)) return void socket.once("drain", more);
          }
          finished = true;
        };
        more();
      });
    });
    const { url, scheduling } = await startGateway([origin]);
    const incoming = await new Promise<IncomingMessage>((resolve) => {
      request(url, { agent: false }, resolve).end();
    });
    const before = process.memoryUsage().arrayBuffers;
    await settled(() => written);
    expect(finished).toBe(false);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * MIB);
    expect(scheduling.held()).toBe(1);
    expect(sha(await bodyOf(incoming))).toBe(sha(LARGE));
    await eventually(() => scheduling.held() === 0, "the release at the end of the body");
  });

  it("a backend that does not read stops the client from sending, and gets all of it when it does", async () => {
    let received: IncomingMessage | null = null;
    const origin = await startBackend((incoming, response) => {
      received = incoming;
      incoming.on("end", () => response.end("got it"));
    });
    const { url, port } = await startGateway([origin]);
    expect(url).toContain(String(port));
    let sent = 0;
    const answer = new Promise<number>((resolve) => {
      const outgoing = request(url, { method: "POST", agent: false }, (response) =>
        resolve(response.statusCode ?? 0),
      );
      const more = () => {
        while (sent < LARGE.length) {
          const piece = LARGE.subarray(sent, sent + 64 * 1024);
          sent += piece.length;
          if (!outgoing.write(piece)) return void outgoing.once("drain", more);
        }
        outgoing.end();
      };
      more();
    });
    await eventually(() => received !== null, "the request at the backend");
    await settled(() => sent);
    expect(sent).toBeLessThan(LARGE.length);
    const body = await bodyOf(received as unknown as IncomingMessage);
    expect(sha(body)).toBe(sha(LARGE));
    expect(await answer).toBe(200);
  });

  it("an early answer reaches a client that is still sending, and its connection stays usable", async () => {
    const origin = await startBackend((incoming, response) => {
      if (incoming.method === "GET") return void response.end("second");
      response.writeHead(413).end("too large");
    });
    const { port, scheduling } = await startGateway([origin]);
    const head = `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${MIB}\r\n\r\n`;
    const client = sendRaw(port, head + "x".repeat(1024));
    await eventually(() => client.received().includes("too large"), "the early answer");
    client.socket.write("x".repeat(MIB - 1024));
    client.socket.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await eventually(() => client.received().includes("second"), "the answer to the next request");
    expect(scheduling.released.map(({ outcome }) => outcome)).toEqual(["success", "success"]);
  });

  /** Answers each request at its header section, and reads on; or, after a POST, reads no more. */
  const startEarly = (readsOn: boolean) =>
    startRawBackend((socket) => {
      let [text, left] = ["", 0];
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
        const dropped = Math.min(left, text.length);
        left -= dropped;
        text = text.slice(dropped);
        const end = text.indexOf("\r\n\r\n") + 4;
        if (end < 4) return;
        const early = text.startsWith("POST");
        left = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0) - (text.length - end);
        text = "";
        if (early && !readsOn) socket.pause();
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n${early ? "early!" : "second"}`);
      });
    });

  // Whether a backend that reads no more has got all of a body that the system still holds, nobody can know.
  it.each([
    [100, "reads on", true],
    [1_000, "reads on", true],
    [1_000, "reads no more", false],
    [4_000, "reads no more", false],
  ])(
    "an early answer to %i KiB sent at once, by a backend that %s, does not swallow the next request",
    async (kib, _, readsOn) => {
      const origin = await startEarly(readsOn);
      const { port } = await startGateway([origin]);
      const client = sendRaw(
        port,
        `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${kib * 1024}\r\n\r\n${"x".repeat(kib * 1024)}GET / HTTP/1.1\r\nHost: h\r\n\r\n`,
      );
      await eventually(() => client.received().endsWith("second"), "both answers");
      expect(client.received()).toContain("early!");
    },
  );

  it("an answer without a length reaches an HTTP/1.0 client whole", async () => {
    const origin = await startBackend((_, response) => {
      response.write("a");
      response.end("b");
    });
    const { port } = await startGateway([origin]);
    const client = sendRaw(port, "GET / HTTP/1.0\r\nHost: h\r\n\r\n");
    await eventually(client.closed, "the end of the connection");
    expect(client.received()).toMatch(/\r\n\r\nab$/);
  });
});

/** Waits until a growing number has stopped growing: the same over many turns of the event loop. */
async function settled(value: () => number): Promise<void> {
  let last = -1;
  let same = 0;
  await eventually(() => {
    same = value() === last ? same + 1 : 0;
    last = value();
    return same > 500 && last > 0;
  }, "a number that stops growing");
}
