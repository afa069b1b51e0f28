// Load over raw sockets, in a process of its own. "closed": every connection sends its next request when the last one was
// answered. "paced": requests become due by chance at a constant rate, go out on a free connection, and wait for one when
// there is none, which counts as time of theirs. Tasks come over IPC, results go back over it.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createRandom, exponential } from "../../simulate/chance.ts";

export interface Task {
  port: number;
  path: string;
  connections: number;
  /** 0: a GET. */
  bodyBytes: number;
  /** Null: closed. */
  perSecond: number | null;
  durationMs: number;
}

export interface Result {
  requests: number;
  failures: number;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
}

/** Due requests are looked at this often, ms: what becomes due in between goes out together. */
const TICK_MS = 1;
/** For the last answers. */
const DRAIN_MS = 10_000;
const SEED = 20_261_122;
const HEAD_END = "\r\n\r\n";

/** One connection with at most one request under way. */
class Lane {
  readonly #socket: Socket;
  readonly #onAnswer: (lane: Lane, tookMs: number, ok: boolean) => void;
  #sinceMs = 0;
  #ok = false;
  #head = "";
  /** Of the body, still to come; -1: the head is not complete. */
  #left = -1;

  constructor(socket: Socket, onAnswer: (lane: Lane, tookMs: number, ok: boolean) => void) {
    this.#socket = socket;
    this.#onAnswer = onAnswer;
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("close", () => fail("the proxy closed a connection"));
  }

  send(request: Buffer, sinceMs: number): void {
    this.#sinceMs = sinceMs;
    this.#socket.write(request);
  }

  #take(chunk: Buffer): void {
    let at = 0;
    if (this.#left < 0) {
      const before = this.#head.length;
      const end = chunk.indexOf(HEAD_END);
      // Heads are written in one piece by all that is measured here; one cut in two is put together all the same.
      if (end < 0 && !(this.#head + chunk.toString("latin1")).includes(HEAD_END)) {
        this.#head += chunk.toString("latin1");
        return;
      }
      this.#head += chunk.toString("latin1", 0, end < 0 ? chunk.length : end + HEAD_END.length);
      const headEnd = this.#head.indexOf(HEAD_END) + HEAD_END.length;
      const length = /\ncontent-length: *(\d+)/i.exec(this.#head)?.[1];
      if (length === undefined) fail(`an answer without a length: ${this.#head}`);
      this.#ok = this.#head.startsWith("HTTP/1.1 200");
      this.#left = Number(length);
      this.#head = "";
      at = headEnd - before;
    }
    this.#left -= chunk.length - at;
    if (this.#left > 0) return;
    this.#left = -1;
    this.#onAnswer(this, performance.now() - this.#sinceMs, this.#ok);
  }
}

async function run({ port, path, connections, bodyBytes, perSecond, durationMs }: Task): Promise<Result> {
  const request = Buffer.from(
    bodyBytes === 0
      ? `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`
      : `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: ${bodyBytes}\r\n\r\n${"x".repeat(bodyBytes)}`,
  );
  const tookMs: number[] = [];
  let failures = 0;
  let free: Lane[] = [];
  const waiting: number[] = [];
  const startMs = performance.now();
  const untilMs = startMs + durationMs;

  const onAnswer = (lane: Lane, took: number, ok: boolean) => {
    tookMs.push(took);
    if (!ok) failures += 1;
    const nowMs = performance.now();
    if (perSecond === null && nowMs < untilMs) return lane.send(request, nowMs);
    const since = waiting.shift();
    if (since !== undefined) lane.send(request, since);
    else free.push(lane);
  };
  const lanes = await Promise.all(Array.from({ length: connections }, () => open(port)));
  free = lanes.map((socket) => new Lane(socket, onAnswer));

  if (perSecond === null) {
    for (const lane of free.splice(0)) lane.send(request, performance.now());
  } else {
    const random = createRandom(SEED, "arrivals");
    let dueMs = performance.now();
    while (performance.now() < untilMs) {
      const nowMs = performance.now();
      for (; dueMs <= nowMs; dueMs += exponential(random, 1_000 / perSecond)) {
        const lane = free.shift();
        if (lane) lane.send(request, nowMs);
        else waiting.push(nowMs);
      }
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
  }
  while (free.length < connections) {
    if (performance.now() > untilMs + DRAIN_MS) fail("answers are missing");
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  const seconds = (performance.now() - startMs) / 1_000;
  for (const socket of lanes) socket.removeAllListeners("close").destroy();
  const sorted = Float64Array.from(tookMs).sort();
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
  return {
    requests: sorted.length,
    failures,
    perSecond: sorted.length / seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  };
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  return socket;
}

function fail(reason: string): never {
  process.stderr.write(`load: ${reason}\n`);
  process.exit(1);
}

process.on("message", (task: Task) => {
  void run(task).then((result) => process.send?.(result));
});
process.on("disconnect", () => process.exit(0));
