// grpc-js as client and as backend: every kind of call, statuses, deadlines and metadata pass as if they were alone.
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  credentials,
  Metadata,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { waitFor } from "../support/cluster.ts";
import { certificateFile, type Front, openFront } from "../support/front.ts";
import { type BytesClient, type GrpcBackend, grpcClient, startGrpcBackend } from "../support/grpc.ts";

const LARGE = randomBytes(4 * 1024 * 1024);
const AT_ONCE = 100;
const ROUNDS = 50;
const TIMEOUT_MS = 10_000;

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const none = () => new Metadata();

/** What the backend has seen of calls, to be asked for by the test. */
const canceled: string[] = [];
let deadlineSeen: number | Date | null = null;
let acknowledge: (() => void) | null = null;

const acknowledged = () =>
  new Promise<void>((resolve) => {
    acknowledge = resolve;
  });

/** What the first bytes of a message ask for; all others are echoed. */
const UNARY: Record<string, (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => void> = {
  "missing!": (_, done) => {
    const metadata = none();
    metadata.set("reason", "looked everywhere");
    metadata.set("detail-bin", Buffer.from([0, 255, 10, 13]));
    done({ code: status.NOT_FOUND, details: "nothing: 100 % gone – ü", metadata });
  },
  "forever!": (call) => {
    deadlineSeen = call.getDeadline();
    call.on("cancelled", () => canceled.push("unary"));
  },
  metadata: (call, done) => {
    const leading = none();
    for (const name of ["x-text", "x-bytes-bin"]) {
      for (const value of call.metadata.get(name)) leading.add(name, value);
    }
    call.sendMetadata(leading);
    const trailing = none();
    trailing.set("x-trailing", "at the end");
    done(null, Buffer.from("ok"), trailing);
  },
};

function unary(call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>): void {
  const asked = UNARY[call.request.toString("latin1", 0, 8)];
  if (asked) asked(call, done);
  else done(null, call.request);
}

async function serverStream(call: ServerWritableStream<Buffer, Buffer>): Promise<void> {
  call.on("cancelled", () => canceled.push("serverStream"));
  for (let i = 0; i < call.request.length; i += 1) {
    const seen = acknowledged();
    call.write(call.request.subarray(i, i + 1));
    await seen;
  }
  if (call.request.includes("!")) {
    call.emit("error", { code: status.DATA_LOSS, details: "the rest is lost" });
  } else call.end();
}

function clientStream(call: ServerReadableStream<Buffer, Buffer>, done: sendUnaryData<Buffer>): void {
  const hash = createHash("sha256");
  call.on("data", (message: Buffer) => hash.update(message));
  call.on("end", () => done(null, hash.digest()));
}

function duplex(call: ServerDuplexStream<Buffer, Buffer>): void {
  call.on("cancelled", () => canceled.push("duplex"));
  call.on("data", (message: Buffer) => call.write(message));
  call.on("end", () => call.end());
}

let front: Front;
let backend: GrpcBackend;
let dying: GrpcBackend;

beforeAll(async () => {
  backend = await startGrpcBackend({ unary, serverStream, clientStream, duplex });
  dying = await startGrpcBackend({ unary, serverStream, clientStream, duplex });
  const certificates = [{ cert: certificateFile("a.pem"), key: certificateFile("a.key") }];
  const pool = (name: string, { port }: GrpcBackend) => ({
    ...{ name, http: "2" as const },
    backends: [{ id: "b1", url: `http://127.0.0.1:${port}` }],
  });
  front = await openFront(
    {
      listeners: [
        { name: "web", protocol: "http", port: 0 },
        { name: "secure", protocol: "http", port: 0, tls: { certificates } },
        { name: "dying", protocol: "http", port: 0 },
      ],
      routes: [
        { name: "dying", match: { listener: "dying" }, proxy: "dynamic", pool: "dying" },
        { name: "all", match: {}, proxy: "dynamic", pool: "grpc" },
      ],
      pools: [pool("grpc", backend), pool("dying", dying)],
    },
    inject("redisUrl"),
  );
});

afterAll(async () => {
  await front?.end();
  backend?.kill();
  dying?.kill();
});

function open(listener: string): BytesClient {
  const tls = listener === "secure";
  const ca = readFileSync(certificateFile("ca.pem"));
  const trust = tls ? credentials.createSsl(ca) : credentials.createInsecure();
  const client = grpcClient(
    `127.0.0.1:${front.port(listener)}`,
    trust,
    tls ? { "grpc.ssl_target_name_override": "localhost" } : {},
  );
  onTestFinished(() => client.close());
  return client;
}

const call = (client: BytesClient, message: Buffer | string, metadata = none(), options = {}) =>
  new Promise<Buffer>((resolve, reject) => {
    const request = Buffer.from(message as string);
    client.unary(request, metadata, options, (error, answer) =>
      error ? reject(error) : resolve(answer as Buffer),
    );
  });

const failing = (work: Promise<unknown>): Promise<ServiceError> =>
  work.then(
    () => Promise.reject(new Error("it succeeded")),
    (error: ServiceError) => error,
  );

const isCanceled = async (kind: string) => {
  await waitFor(() => canceled.includes(kind), { timeoutMs: TIMEOUT_MS, what: `a canceled ${kind}` });
  await front.counts("grpc", { b1: 0 });
};

describe.each(["web", "secure"])("grpc-js through the listener %s", (listener) => {
  it("gets the answers to its calls, many at once", async () => {
    const client = open(listener);
    const texts = Array.from({ length: AT_ONCE }, (_, i) => `call ${i}`);
    expect((await Promise.all(texts.map((text) => call(client, text)))).map(String)).toEqual(texts);
    await front.counts("grpc", { b1: 0 });
  });

  it("gets each message of a stream when it is sent", async () => {
    const stream = open(listener).serverStream(Buffer.from("0123456789"));
    let text = "";
    for await (const message of stream) {
      text += message;
      acknowledge?.(); // the next is sent only now
    }
    expect(text).toBe("0123456789");
  });

  it("sends a stream of messages", async () => {
    const hash = createHash("sha256");
    const answer = await new Promise<Buffer>((resolve, reject) => {
      const stream = open(listener).clientStream((error, value) =>
        error ? reject(error) : resolve(value as Buffer),
      );
      for (let i = 0; i < ROUNDS; i += 1) {
        const message = LARGE.subarray(i * 1_000, i * 3_000);
        hash.update(message);
        stream.write(message);
      }
      stream.end();
    });
    expect(answer.toString("hex")).toBe(hash.digest("hex"));
  });

  it("talks to and fro within one call", async () => {
    const stream = open(listener).duplex();
    stream.write(Buffer.from("0"));
    const seen: number[] = [];
    for await (const message of stream) {
      seen.push(Number(message));
      if (seen.length === ROUNDS) stream.end();
      else stream.write(Buffer.from(String(seen.length)));
    }
    expect(seen).toEqual(Array.from({ length: ROUNDS }, (_, i) => i));
  });

  it("gets an error's status, text and metadata, with no message before it", async () => {
    const error = await failing(call(open(listener), "missing!"));
    expect(error).toMatchObject({ code: status.NOT_FOUND, details: "nothing: 100 % gone – ü" });
    expect(error.metadata.get("reason")).toEqual(["looked everywhere"]);
    expect(error.metadata.get("detail-bin")).toEqual([Buffer.from([0, 255, 10, 13])]);
  });

  it("gets an error's status after messages", async () => {
    const stream = open(listener).serverStream(Buffer.from("ab!"));
    let text = "";
    const error = await failing(
      (async () => {
        for await (const message of stream) {
          text += message;
          acknowledge?.();
        }
      })(),
    );
    expect([text, error.code, error.details]).toEqual(["ab!", status.DATA_LOSS, "the rest is lost"]);
  });

  it("passes metadata both ways, repeated and binary ones too", async () => {
    const metadata = none();
    for (const value of ["one", "two"]) metadata.add("x-text", value);
    metadata.add("x-bytes-bin", Buffer.from([0, 1, 254, 255]));
    const client = open(listener);
    const [leading, trailing] = await new Promise<[Metadata, Metadata]>((resolve, reject) => {
      let first: Metadata;
      const request = client.unary(Buffer.from("metadata"), metadata, {}, (error) => error && reject(error));
      request.on("metadata", (received) => (first = received));
      request.on("status", (end) => resolve([first, end.metadata]));
    });
    expect(leading.get("x-text").join(", ")).toBe("one, two");
    expect(leading.get("x-bytes-bin")).toEqual([Buffer.from([0, 1, 254, 255])]);
    expect(trailing.get("x-trailing")).toEqual(["at the end"]);
  });

  it("has its deadline known to the backend, which hears that the call is over", async () => {
    canceled.length = 0;
    const deadline = Date.now() + 500;
    const error = await failing(call(open(listener), "forever!", none(), { deadline }));
    expect(error.code).toBe(status.DEADLINE_EXCEEDED);
    expect(Math.abs(Number(deadlineSeen) - deadline)).toBeLessThan(400);
    await isCanceled("unary");
  });

  it("has its cancel heard by the backend", async () => {
    canceled.length = 0;
    const stream = open(listener).duplex();
    stream.write(Buffer.from("hello"));
    await new Promise((resolve) => stream.once("data", resolve));
    expect(await front.inflight("grpc")).toEqual({ b1: 1 });
    const ended = new Promise<ServiceError>((resolve) => stream.on("error", resolve as () => void));
    stream.cancel();
    expect((await ended).code).toBe(status.CANCELLED);
    await isCanceled("duplex");
  });

  it("passes messages of 4 MiB", async () => {
    const client = open(listener);
    const answers = await Promise.all([call(client, LARGE), call(client, LARGE)]);
    expect(answers.map(sha256)).toEqual([sha256(LARGE), sha256(LARGE)]);
  });
});

describe("when the backend dies", () => {
  it("calls under way and later ones fail as unavailable, and soon", async () => {
    const client = open("dying");
    const stream = client.duplex({ deadline: Date.now() + TIMEOUT_MS });
    stream.write(Buffer.from("hello"));
    await new Promise((resolve) => stream.once("data", resolve));
    const broken = new Promise<ServiceError>((resolve) => stream.on("error", resolve as () => void));
    dying.kill();
    expect([status.UNAVAILABLE, status.INTERNAL, status.CANCELLED]).toContain((await broken).code);
    const late = await failing(call(client, "late", none(), { deadline: Date.now() + TIMEOUT_MS }));
    expect(late.code).toBe(status.UNAVAILABLE);
    await front.counts("dying", { b1: 0 });
  });
});
