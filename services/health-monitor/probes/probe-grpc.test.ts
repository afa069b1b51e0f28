import { readFileSync } from "node:fs";
import {
  createServer as createHttp2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { Server } from "node:net";
import { fileURLToPath } from "node:url";
import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import { Server as GrpcServer, ServerCredentials, type ServiceDefinition, status } from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import { closeAll, http, listen, openConnections, refusedUrl, tcp } from "../test-support/servers.ts";
import { until } from "../test-support/until.ts";
import { prepareProbe } from "./probe.ts";

const AMPLE_MS = 5_000;
const SHORT_MS = 150;
const SERVING = Buffer.from([0, 0, 0, 0, 2, 8, 1]);

const grpcServers: GrpcServer[] = [];
afterEach(async () => {
  for (const server of grpcServers.splice(0)) server.forceShutdown();
  await closeAll();
});

async function probe(url: string, health: object = {}, tls: object = {}) {
  const pool = resolvePool({
    name: "shop",
    backends: [],
    tls,
    health: { protocol: "grpc", intervalMs: AMPLE_MS, timeoutMs: AMPLE_MS, ...health },
  });
  if (!pool.probing) throw new Error("the pool is probed");
  const { ok, reason } = await prepareProbe(url, pool.probing, pool.tls)();
  return { ok, reason };
}

/** Messages as they are: what is tested is that the probe's own are right. */
const bytes = { serialize: (value: Buffer) => value, deserialize: (value: Buffer) => value };
const HEALTH: ServiceDefinition = {
  Check: {
    path: "/grpc.health.v1.Health/Check",
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes.serialize,
    requestDeserialize: bytes.deserialize,
    responseSerialize: bytes.serialize,
    responseDeserialize: bytes.deserialize,
  },
};

/** A real server. @param states service → what it answers */
async function healthServer(
  states: Record<string, number>,
  credentials = ServerCredentials.createInsecure(),
) {
  const server = new GrpcServer();
  grpcServers.push(server);
  server.addService(HEALTH, {
    Check(call: { request: Buffer }, answer: (error: object | null, value?: Buffer) => void) {
      const service =
        call.request.length === 0 ? "" : call.request.subarray(call.request.length > 129 ? 3 : 2).toString();
      const state = states[service];
      if (state === undefined) answer({ code: status.NOT_FOUND, details: "no such service" });
      else answer(null, Buffer.from(state === 0 ? [] : [8, state]));
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  return `http://127.0.0.1:${port}`;
}

const h2c = (onStream: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void) => {
  const server = createHttp2Server();
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream.on("error", () => {});
    onStream(stream, headers);
  });
  return listen(server as unknown as Server);
};

describe("a gRPC probe", () => {
  it("finds a server that serves good, as a whole and by service", async () => {
    const long = "shop.".padEnd(200, "x");
    const url = await healthServer({ "": 1, "shop.Cart": 1, [long]: 1 });
    for (const service of ["", "shop.Cart", long]) {
      expect(await probe(url, { service })).toEqual({ ok: true, reason: "SERVING" });
    }
  });

  it("says which other state it found", async () => {
    const url = await healthServer({ "": 2, unknown: 0, gone: 3, odd: 9 });
    const reasons = ["", "unknown", "gone", "odd"].map(
      async (service) => (await probe(url, { service })).reason,
    );
    expect(await Promise.all(reasons)).toEqual([
      "NOT_SERVING",
      "UNKNOWN",
      "SERVICE_UNKNOWN",
      "serving status 9",
    ]);
    expect(await probe(url, { service: "other" })).toEqual({ ok: false, reason: "grpc-status 5" });
  });

  it("says that a server has no health service", async () => {
    const server = new GrpcServer();
    grpcServers.push(server);
    const port = await new Promise<number>((resolve) =>
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (_error, bound) => resolve(bound)),
    );
    expect(await probe(`http://127.0.0.1:${port}`)).toEqual({ ok: false, reason: "grpc-status 12" });
  });

  it("speaks TLS to https://, verified as the pool says", async () => {
    const file = (name: string) =>
      fileURLToPath(new URL(`../../gateway/test-support/certificates/${name}`, import.meta.url));
    const credentials = ServerCredentials.createSsl(null, [
      { private_key: readFileSync(file("a.key")), cert_chain: readFileSync(file("a.pem")) },
    ]);
    const url = (await healthServer({ "": 1 }, credentials)).replace("http:", "https:");
    const ca = file("ca.pem");
    expect(await probe(url, {}, { ca })).toEqual({ ok: true, reason: "SERVING" });
    expect((await probe(url, { servername: "a.example" }, { ca })).ok).toBe(true);
    expect((await probe(url, { servername: "b.example" }, { ca })).ok).toBe(false);
    expect((await probe(url)).ok).toBe(false);
  });

  it("asks the way the specification says, for the host of its pool", async () => {
    let seen: IncomingHttpHeaders = {};
    let sent = Buffer.alloc(0);
    const url = await h2c((stream, headers) => {
      seen = headers;
      stream.on("data", (chunk: Buffer) => {
        sent = Buffer.concat([sent, chunk]);
      });
      stream.on("end", () => {
        stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
        stream.end(SERVING);
      });
    });
    expect(await probe(url, { service: "a", host: "shop.example" })).toEqual({ ok: true, reason: "SERVING" });
    expect(sent).toEqual(Buffer.from([0, 0, 0, 0, 3, 10, 1, 97]));
    expect(seen).toMatchObject({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      ":authority": "shop.example",
      "content-type": "application/grpc",
      te: "trailers",
    });
  });
});

describe("a gRPC probe of what is hostile", () => {
  const respond = (headers: object, body: Buffer | null, trailers: object = { "grpc-status": "0" }) =>
    h2c((stream) => {
      stream.respond(
        { ":status": 200, "content-type": "application/grpc", ...headers },
        { waitForTrailers: true },
      );
      stream.on("wantTrailers", () => stream.sendTrailers({ ...trailers }));
      stream.end(body ?? undefined);
    });

  it("repeats nothing of a status that is none: it would stand in terminals and logs", async () => {
    const url = await respond({}, null, { "grpc-status": `5\u009b2J${"x".repeat(4_000)}` });
    expect(await probe(url)).toEqual({ ok: false, reason: "malformed grpc-status" });
  });

  it.each([
    ["another status", { ":status": 503 }, SERVING, {}, "status 503"],
    ["another content", { "content-type": "text/html" }, SERVING, {}, "not gRPC"],
    ["no message", {}, null, { "grpc-status": "0" }, "not a health answer"],
    ["half a message", {}, SERVING.subarray(0, 6), { "grpc-status": "0" }, "not a health answer"],
    [
      "a compressed message",
      {},
      Buffer.from([1, 0, 0, 0, 2, 8, 1]),
      { "grpc-status": "0" },
      "not a health answer",
    ],
    [
      "a number without end",
      {},
      Buffer.from([0, 0, 0, 0, 3, 8, 255, 255]),
      { "grpc-status": "0" },
      "not a health answer",
    ],
    ["an error after a good message", {}, SERVING, { "grpc-status": "14" }, "grpc-status 14"],
    ["no status of gRPC", {}, SERVING, {}, "no grpc-status"],
    ["a message without end", {}, Buffer.alloc(100_000), { "grpc-status": "0" }, "not a health answer"],
  ])("says what is wrong with %s", async (_what, headers, body, trailers, reason) => {
    expect(await probe(await respond(headers, body, trailers))).toEqual({ ok: false, reason });
  });

  it("skips fields that it does not know", async () => {
    const body = Buffer.from([0, 0, 0, 0, 8, 18, 1, 97, 24, 129, 1, 8, 1]);
    expect(await probe(await respond({}, body))).toEqual({ ok: true, reason: "SERVING" });
  });

  it("finds HTTP/1.1, silence, a reset and a refused connection bad", async () => {
    expect((await probe(await http((_request, response) => response.end()))).ok).toBe(false);
    expect((await probe(await tcp((socket) => socket.resetAndDestroy()))).ok).toBe(false);
    expect(await probe(await refusedUrl())).toEqual({ ok: false, reason: "ECONNREFUSED" });
    expect(await probe(await tcp((socket) => socket.resume()), { timeoutMs: SHORT_MS })).toEqual({
      ok: false,
      reason: "timeout",
    });
    await until("nothing is left open", () => openConnections() === 0);
  });

  it("times out on an answer that never ends, and closes the connection", async () => {
    const url = await h2c((stream) => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" });
      stream.write(SERVING);
    });
    expect(await probe(url, { timeoutMs: SHORT_MS })).toEqual({ ok: false, reason: "timeout" });
    await until("it is closed", () => openConnections() === 0);
  });
});
