import { createHash } from "node:crypto";
import { describe, expect, it, vi } from "vitest";
import { addField, type Fields } from "../messages/fields.ts";
import { asked, bytes, eventually, get, headOf, settled } from "./test-support/http1.ts";

const INFINITY = Number.POSITIVE_INFINITY;
const MIB = 1024 * 1024;
const sha = (data: Buffer | string) => createHash("sha256").update(data).digest("hex");

describe("an answer", () => {
  it.each([
    ["GET", "1.1", [5], "hello", "content-length: 5\r\n\r\nhello"],
    ["GET", "1.1", [0], "", "content-length: 0\r\n\r\n"],
    ["GET", "1.1", [INFINITY], "hello", "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"],
    ["GET", "1.1", [INFINITY], "", "transfer-encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["GET", "1.0", [5], "hello", "content-length: 5\r\nconnection: close\r\n\r\nhello"],
    ["GET", "1.0", [INFINITY], "hello", "connection: close\r\n\r\nhello"],
    ["HEAD", "1.1", [5], "", "content-length: 5\r\n\r\n"],
    ["HEAD", "1.1", [INFINITY], "", "\r\n"],
    ["HEAD", "1.1", [5], "hello", "content-length: 5\r\n\r\n"],
    ["GET", "1.1", [0, 204], "", "\r\n"],
    ["GET", "1.1", [0, 304], "", "\r\n"],
  ] as const)(
    "to %s by HTTP/%s of %j and body %j is framed",
    async (method, version, [length, status], body, end) => {
      const text = `${method} / HTTP/${version}\r\nHost: h\r\n\r\n`;
      const { incoming, received, send, requests } = await asked(text);
      incoming.sendHead(headOf(length, { status: status ?? 200 }));
      if (body !== "") incoming.write(bytes(body));
      incoming.end(null);
      await eventually(() => received().endsWith(end), "the answer");
      expect(received()).toMatch(/^HTTP\/1\.1 \d+ [A-Z].*\r\ndate: D\r\n/);
      expect(received().slice(received().indexOf("date: D\r\n") + 9)).toBe(end);
      if (version === "1.1") {
        send(get());
        await eventually(() => requests.length === 2, "the next request on the same connection");
      }
    },
  );

  it("that is small goes out as one write, with its header section", async () => {
    for (const [length, parts] of [
      [5, ["hello"]],
      [INFINITY, ["he", "llo"]],
      [8 * 1024, ["x".repeat(8 * 1024)]],
    ] as const) {
      const { incoming, received, sockets } = await asked();
      const write = vi.spyOn(sockets[0] as NonNullable<(typeof sockets)[0]>, "write");
      incoming.sendHead(headOf(length));
      for (const part of parts) incoming.write(bytes(part));
      incoming.end(null);
      await eventually(() => received().length > 50, "the answer");
      expect(write).toHaveBeenCalledTimes(1);
    }
  });

  it("holds its header section back until more is written, or a flush", async () => {
    const { incoming, received } = await asked();
    incoming.sendHead(headOf(5));
    await new Promise((resolve) => setImmediate(resolve));
    expect(received()).toBe("");
    incoming.flush();
    await eventually(() => received().endsWith("\r\n\r\n"), "the header section");
    incoming.write(bytes("hello"));
    incoming.end(null);
    await eventually(() => received().endsWith("hello"), "the body");
  });

  it("sends each chunk with the turn in which it was written", async () => {
    const { incoming, received } = await asked();
    incoming.sendHead(headOf(INFINITY));
    for (const part of ["one", "two"]) {
      incoming.write(bytes(part));
      await eventually(() => received().endsWith(`3\r\n${part}\r\n`), part);
    }
    incoming.write(bytes(""));
    incoming.end(["Digest", "digest", "d", "Host", "host", "evil"]);
    await eventually(() => received().endsWith("two\r\n0\r\nDigest: d\r\n\r\n"), "the end with its trailers");
  });

  it.each([20 * MIB, INFINITY])(
    "of 20 MiB and a length of %d arrives whole, and its writer is held up",
    async (length) => {
      const { incoming, received, seen, socket, sockets } = await asked();
      const body = Buffer.alloc(20 * MIB, "0123456789abcdef!");
      let written = 0;
      let most = 0;
      const pump = () => {
        while (written < body.length) {
          const more = incoming.write(body.subarray(written, written + 64 * 1024));
          written += 64 * 1024;
          most = Math.max(most, sockets[0]?.writableLength ?? 0);
          if (!more) return;
        }
        incoming.end(null);
      };
      seen.onDrain = pump;
      socket.pause();
      incoming.sendHead(headOf(length));
      pump();
      expect(await settled(() => written)).toBeLessThan(body.length);
      expect(most).toBeLessThan(MIB);
      socket.resume();
      const end = length === INFINITY ? "0\r\n\r\n" : "";
      await eventually(() => received().length > body.length && received().endsWith(end), "the end");
      const text = received().slice(received().indexOf("\r\n\r\n") + 4);
      expect(sha(bytes(length === INFINITY ? withoutChunks(text) : text))).toBe(sha(body));
    },
  );

  it.each([
    ["shorter than it declared", 6],
    ["longer than it declared", 4],
  ])("%s is cut, never presented as complete", async (_, length) => {
    const { incoming, received, reset } = await asked();
    incoming.sendHead(headOf(length));
    incoming.flush();
    incoming.write(bytes("hello"));
    incoming.end(null);
    await eventually(reset, "the reset");
    if (length === 4) expect(received()).not.toContain("hello");
  });

  it.each([5, INFINITY])("of length %d that is aborted ends in a reset, also in HTTP/1.0", async (length) => {
    for (const version of ["1.1", "1.0"]) {
      const { incoming, received, reset, seen } = await asked(`GET / HTTP/${version}\r\nHost: h\r\n\r\n`);
      incoming.sendHead(headOf(length));
      incoming.write(bytes("he"));
      incoming.flush();
      await eventually(() => received().includes("he"), "the part");
      incoming.abort();
      incoming.write(bytes("llo"));
      incoming.end(null);
      await eventually(reset, "the reset");
      expect(received()).not.toContain("llo");
      expect(seen.told).toEqual([]);
    }
  });

  it("that holds what cannot be sent is not sent at all", async () => {
    const fields: Fields = [];
    addField(fields, "x", "a\r\ninjected: 1");
    const { incoming, received, reset, seen } = await asked();
    incoming.sendHead(headOf(0, { fields }));
    incoming.end(null);
    await eventually(reset, "the reset");
    expect(received()).toBe("");
    expect(seen.told).toEqual([]);
  });

  it("may be preceded by interim ones, but not in HTTP/1.0", async () => {
    const hints: Fields = ["Link", "link", "</a>"];
    const { incoming, received, seen } = await asked();
    incoming.sendInterim(103, hints);
    seen.answer("ok");
    await eventually(() => received().endsWith("ok"), "the answer");
    expect(received()).toMatch(/^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
    const old = await asked("GET / HTTP/1.0\r\n\r\n");
    old.incoming.sendInterim(103, hints);
    old.seen.answer("ok");
    await eventually(() => old.received().endsWith("ok"), "the answer");
    expect(old.received()).not.toContain("103");
  });
});

function withoutChunks(text: string): string {
  const parts: string[] = [];
  for (let at = 0; ; ) {
    const end = text.indexOf("\r\n", at);
    const size = Number.parseInt(text.slice(at, end), 16);
    if (size === 0) return parts.join("");
    parts.push(text.slice(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
}
