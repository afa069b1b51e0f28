// Bodies through the whole gateway, of sizes at which their memory is given back while they pass.
import { createHash, type Hash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  type IncomingMessage,
  Agent as PlainAgent,
  type RequestOptions,
  request,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer, request as requestTls, Agent as TlsAgent } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { seeded } from "./test-support/chance.ts";
import { startBackend, startGateway } from "./test-support/data-path.ts";

const KIB = 1024;
/** Every body is a part of it, so that none looks like another one. */
const BYTES = randomBytes(4 * 1024 * KIB);
const ROUNDS = 12;
const AT_ONCE = 4;

const at = (name: string) => new URL(`./test-support/certificates/${name}`, import.meta.url).pathname;
const TLS = { cert: at("a.pem"), key: at("a.key") };
const PEM = { cert: readFileSync(TLS.cert), key: readFileSync(TLS.key) };

interface Way {
  chunked: boolean;
  clientTls: boolean;
  backendTls: boolean;
}

const chance = seeded(7);
const below = (bound: number) => Math.floor(chance() * bound);

/** Around the bounds at which bodies are collected, joined and given back, and well beyond them. */
function someBody(): Buffer {
  const bounds = [8, 16, 64, 128, 512, 1_500];
  const length = 1 + below(2 * KIB * (bounds[below(bounds.length)] as number));
  const start = below(BYTES.length - length);
  return BYTES.subarray(start, start + length);
}

const hashOf = (body: Buffer) => createHash("sha256").update(body).digest("hex");

/** Reads with pauses, so that what comes has to wait on the way. */
async function readSlowly(message: IncomingMessage, hash: Hash): Promise<string> {
  for await (const chunk of message) {
    hash.update(chunk as Buffer);
    if (hash.copy().digest()[0] === 0) for (let turns = 0; turns < 20; turns += 1) await turn();
  }
  return hash.digest("hex");
}

/** Writes in pieces of all sizes, each of which is a chunk where the body is chunked. */
async function writeInPieces(
  body: Buffer,
  to: { write(piece: Buffer): boolean; once(event: "drain", then: () => void): unknown; end(): unknown },
): Promise<void> {
  for (let from = 0; from < body.length; ) {
    const piece = body.subarray(from, from + 1 + below(100 * KIB));
    from += piece.length;
    if (!to.write(piece)) await new Promise<void>((resolve) => to.once("drain", resolve));
  }
  to.end();
}

/** Until a socket has had more to send than the system takes for a while. */
async function stuck(socket: Socket): Promise<void> {
  for (let turns = 0, waiting = 0; turns < 100; turns += 1) {
    const { writableLength } = socket;
    if (writableLength === 0 || writableLength !== waiting) turns = 0;
    waiting = writableLength;
    await turn();
  }
}

/** Tells the hash of what has come, and answers with the body that was asked for. */
async function startOrigin({ chunked, backendTls }: Way, bodies: readonly Buffer[]): Promise<string> {
  const answer = async (incoming: IncomingMessage, response: ServerResponse) => {
    const body = bodies[Number(incoming.url?.slice(1))] as Buffer;
    response.setHeader("x-digest", await readSlowly(incoming, createHash("sha256")));
    if (!chunked) response.setHeader("content-length", body.length);
    await writeInPieces(body, response);
  };
  if (!backendTls) return startBackend(answer);
  const server = createTlsServer(PEM, answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function startWay(way: Way, bodies: readonly Buffer[]) {
  const origin = await startOrigin(way, bodies);
  const { port } = await startGateway([origin], {
    listeners: [
      {
        ...{ name: "web", protocol: "http", port: 0, address: "127.0.0.1" },
        ...(way.clientTls && { tls: { certificates: [TLS] } }),
      },
    ],
    pools: [
      {
        ...{ name: "p", backends: [{ id: "b1", url: origin }] },
        ...(way.backendTls && { tls: { verify: false } }),
      },
    ],
  });
  const agent = way.clientTls ? new TlsAgent({ keepAlive: true }) : new PlainAgent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  return (options: RequestOptions) => {
    const all = { ...options, agent, port, host: "127.0.0.1", rejectUnauthorized: false };
    return way.clientTls ? requestTls(all) : request(all);
  };
}

describe("bodies of any size", () => {
  it.each<Way>(
    [false, true].flatMap((chunked) => [
      { chunked, clientTls: false, backendTls: false },
      { chunked, clientTls: true, backendTls: false },
      { chunked, clientTls: false, backendTls: true },
      { chunked, clientTls: true, backendTls: true },
    ]),
  )(
    "arrive intact both ways, many at once and read slowly, chunked: $chunked, TLS of client: $clientTls, of backend: $backendTls",
    async (way) => {
      const sent = Array.from({ length: ROUNDS * AT_ONCE }, someBody);
      const answers = sent.map(someBody);
      const open = await startWay(way, answers);
      const exchange = async (nr: number) => {
        const body = sent[nr] as Buffer;
        const headers = way.chunked ? {} : { "content-length": String(body.length) };
        const outgoing = open({ method: "PUT", path: `/${nr}`, headers });
        const answered = new Promise<IncomingMessage>((resolve, reject) => {
          outgoing.on("response", resolve).on("error", reject);
        });
        const [answer] = await Promise.all([answered, writeInPieces(body, outgoing)]);
        const received = await readSlowly(answer, createHash("sha256"));
        expect([answer.headers["x-digest"], received]).toEqual([hashOf(body), hashOf(answers[nr] as Buffer)]);
      };
      const lane = async (first: number) => {
        for (let nr = first; nr < sent.length; nr += AT_ONCE) await exchange(nr);
      };
      await Promise.all(Array.from({ length: AT_ONCE }, (_, first) => lane(first)));
    },
  );

  it("arrive intact, also what had to wait in this process since nobody read it", async () => {
    const large = Buffer.concat([BYTES, BYTES.subarray(1), BYTES.subarray(2), BYTES.subarray(3)]);
    let waiting: Promise<void> = Promise.resolve();
    const origin = await startBackend(async (incoming, response) => {
      await waiting;
      response.setHeader("x-digest", await readSlowly(incoming, createHash("sha256")));
      response.setHeader("content-length", large.length);
      waiting = stuck(response.socket as Socket);
      response.end(large);
    });
    const { port } = await startGateway([origin]);
    const headers = { "content-length": large.length };
    const outgoing = request({ port, host: "127.0.0.1", method: "PUT", headers, agent: false });
    const answered = new Promise<IncomingMessage>((resolve) => outgoing.on("response", resolve));
    waiting = new Promise((resolve) => outgoing.on("socket", (socket) => resolve(stuck(socket))));
    outgoing.end(large);
    const answer = await answered;
    await waiting;
    const received = await readSlowly(answer, createHash("sha256"));
    expect([answer.headers["x-digest"], received]).toEqual([hashOf(large), hashOf(large)]);
  });
});
