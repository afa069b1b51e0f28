// Large bodies through a whole cluster: what arrives is what was sent, byte by byte, over static and dynamic routes, up and
// down, many at once.
import { createHash, type Hash } from "node:crypto";
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import type { TestBackend } from "../support/cluster.ts";
import { openScene, type Scene } from "../support/scene.ts";

const MIB = 1024 * 1024;
const BODY_BYTES = 20 * MIB;
const AT_ONCE = 4;

/** Bytes that repeat at no power of two, so that a piece that is lost, doubled or moved shows. */
const PATTERN = Buffer.from(Array.from({ length: 65_521 }, (_, i) => (i * 31 + (i >> 8) * 17) & 0xff));

function* pieces(): Generator<Buffer> {
  for (let left = BODY_BYTES; left > 0; left -= PATTERN.length)
    yield PATTERN.subarray(0, Math.min(left, PATTERN.length));
}

const hashOf = (body: Iterable<Buffer>): string => {
  const hash = createHash("sha256");
  for (const piece of body) hash.update(piece);
  return hash.digest("hex");
};
const EXPECTED = hashOf(pieces());

async function read(message: IncomingMessage): Promise<{ hash: string; bytes: number }> {
  const hash: Hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of message) {
    hash.update(chunk as Buffer);
    bytes += (chunk as Buffer).length;
  }
  return { hash: hash.digest("hex"), bytes };
}

/** GET: the body. POST: the hash of what has come, in x-hash, and the same body back. */
async function startStreamBackend(id: string): Promise<TestBackend> {
  const server: Server = createServer(async (incoming, response) => {
    if (incoming.url === "/healthz") return void response.end();
    const headers: Record<string, string | number> = {};
    if (incoming.method === "POST") headers["x-hash"] = (await read(incoming)).hash;
    if (!incoming.url?.includes("chunked")) headers["content-length"] = BODY_BYTES;
    response.writeHead(200, headers);
    await pipeline(Readable.from(pieces()), response).catch(() => {});
    return undefined;
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const stop = async () => {
    server.closeAllConnections();
    server.close();
  };
  return { id, url: `http://127.0.0.1:${port}`, pid: process.pid, kill: stop, restart: async () => {}, stop };
}

async function exchange(url: string, method: string, chunked: boolean) {
  const headers = chunked ? { "transfer-encoding": "chunked" } : { "content-length": String(BODY_BYTES) };
  const outgoing = request(url, { method, agent: false, headers: method === "POST" ? headers : {} });
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.on("response", resolve);
    outgoing.on("error", reject);
  });
  if (method === "POST") await pipeline(Readable.from(pieces()), outgoing);
  else outgoing.end();
  const answer = await answered;
  const body = await read(answer);
  return { status: answer.statusCode, complete: answer.complete, sent: answer.headers["x-hash"], ...body };
}

describe("bodies of 20 MiB", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene({
      weights: [1, 1],
      schedulers: 1,
      monitors: 1,
      redisUrl: inject("redisUrl"),
      startBackend: startStreamBackend,
    });
  });
  afterAll(() => scene.end());

  it.each([
    ["static", "bound/x", false],
    ["static", "bound/chunked", true],
    ["dynamic", "x", false],
    ["dynamic", "chunked", true],
  ])("arrive intact over a %s route, /%s, up and down, several at once", async (_, path, chunked) => {
    const url = `${scene.urls[0]}${path}`;
    const methods = Array.from({ length: AT_ONCE }, () => ["GET", "POST"]).flat();
    const answers = await Promise.all(methods.map((method) => exchange(url, method, chunked)));
    for (const [i, answer] of answers.entries()) {
      expect(answer).toMatchObject({ status: 200, complete: true, bytes: BODY_BYTES, hash: EXPECTED });
      expect(answer.sent).toBe(methods[i] === "POST" ? EXPECTED : undefined);
    }
  });
});
