// Clients in a process of their own: so many GETs per second, in turn over the gateways, each sent when it is due whatever
// became of those before it, on a connection that is free or a new one. It records what every client saw. Told over IPC
// where to send and when to stop; names its records over it.
import { connect, type Socket } from "node:net";
import { type Answered, NO_STATUS, packed } from "./records.ts";

export type Order =
  | { type: "start"; ports: number[] }
  /** From now on. */
  | { type: "ask"; path: string; perSecond: number }
  /** Answers with what has ended since the last time. */
  | { type: "take" };

/** What became due in between goes out together, ms. */
const TICK_MS = 1;
/** A client that has waited so long gives up, ms: longer than any fault here lasts. */
const CLIENT_TIMEOUT_MS = 15_000;
const TIMEOUT_SWEEP_MS = 250;
/** More would be a pile of requests that nobody answers, not load. */
const CONNECTIONS_MAX = 4_000;
const HEAD_END = "\r\n\r\n";

const nowMs = () => performance.timeOrigin + performance.now();

let records: Answered[] = [];
let request = Buffer.alloc(0);

/** One connection to one gateway with at most one request under way. */
class Lane {
  readonly #socket: Socket;
  readonly #free: Lane[];
  #dueMs = 0;
  #busy = false;
  #refused = false;
  /** All of the answer that has come. */
  #text = "";

  constructor(port: number, free: Lane[]) {
    this.#free = free;
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("data", (chunk: Buffer) => this.#take(chunk));
    this.#socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#refused = error.code === "ECONNREFUSED";
    });
    this.#socket.on("close", () => this.#closed());
    lanes.add(this);
  }

  send(dueMs: number): void {
    this.#dueMs = dueMs;
    this.#busy = true;
    this.#text = "";
    this.#socket.write(request);
  }

  giveUp(before: number): void {
    if (this.#busy && this.#dueMs < before) this.#end(NO_STATUS.timeout, 0);
  }

  #take(chunk: Buffer): void {
    this.#text += chunk.toString("latin1");
    const headEnd = this.#text.indexOf(HEAD_END);
    if (headEnd < 0 || !this.#busy) return;
    const head = this.#text.slice(0, headEnd);
    const length = /\ncontent-length: *(\d+)/i.exec(head)?.[1];
    const status = /^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1];
    if (length === undefined || status === undefined) {
      this.#end(NO_STATUS.invalid, 0);
    } else if (this.#text.length >= headEnd + HEAD_END.length + Number(length)) {
      this.#note(Number(status), Number(/\nx-evenkeel-backend: *b(\d+)/i.exec(head)?.[1] ?? 0));
      if (!/\nconnection: *close/i.test(head)) this.#free.push(this);
    }
  }

  #closed(): void {
    lanes.delete(this);
    const place = this.#free.indexOf(this);
    if (place >= 0) this.#free.splice(place, 1);
    if (!this.#busy) return;
    if (this.#refused) this.#note(NO_STATUS.refused, 0);
    else this.#note(this.#text === "" ? NO_STATUS.reset : NO_STATUS.cut, 0);
  }

  #end(result: number, backend: number): void {
    this.#note(result, backend);
    this.#socket.destroy();
  }

  #note(result: number, backend: number): void {
    this.#busy = false;
    records.push({ dueMs: this.#dueMs, tookMs: nowMs() - this.#dueMs, result, backend });
  }
}

const lanes = new Set<Lane>();

let perSecond = 0;
let beganMs = 0;
let sent = 0;

function start(ports: readonly number[]): void {
  const gateways = ports.map((port) => ({ port, free: [] as Lane[] }));
  setInterval(() => {
    const now = nowMs();
    for (; sent < ((now - beganMs) / 1_000) * perSecond; sent += 1) {
      const { port, free } = gateways[sent % gateways.length] as (typeof gateways)[0];
      const dueMs = beganMs + (sent * 1_000) / perSecond;
      if (free.length === 0 && lanes.size >= CONNECTIONS_MAX)
        records.push({ dueMs, tookMs: 0, result: NO_STATUS.unsent, backend: 0 });
      // The one that rested longest: none gets so old that a gateway closes it.
      else (free.shift() ?? new Lane(port, free)).send(dueMs);
    }
  }, TICK_MS);
  setInterval(() => {
    const before = nowMs() - CLIENT_TIMEOUT_MS;
    for (const lane of lanes) lane.giveUp(before);
  }, TIMEOUT_SWEEP_MS);
}

const get = (path: string) => Buffer.from(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`);

process.on("message", (order: Order) => {
  if (order.type === "start") {
    start(order.ports);
  } else if (order.type === "ask") {
    request = get(order.path);
    if (order.perSecond !== perSecond) [perSecond, beganMs, sent] = [order.perSecond, nowMs(), 0];
  } else {
    process.send?.(packed(records));
    records = [];
  }
});
process.on("disconnect", () => process.exit(0));
