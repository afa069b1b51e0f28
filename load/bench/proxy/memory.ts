// What the gateway keeps: after millions of requests, for a large body under way, for an idle WebSocket. Each is measured
// after a collection, and against the same gateway before.
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { startBackend } from "./backend.ts";
import { type Evenkeel, startEvenkeel } from "./evenkeel.ts";
import { INSPECTABLE, type Inspector, inspect, type Memory } from "./gateway-memory.ts";
import { startIdleBackend } from "./idle-backend.ts";
import { createLoad } from "./load.ts";
import type { Cores } from "./machine.ts";

const MIB = 1024 * 1024;

export interface MemoryOptions {
  cores: Cores;
  progress(line: string): void;
}

export interface GrowthOptions extends MemoryOptions {
  requests: number;
  /** Ends with fewer past this. */
  deadlineMs: number;
  /** On either route, between two looks at the memory. */
  sliceMs: number;
}

export interface GrowthPoint {
  requests: number;
  memory: Memory;
}

export interface Growth {
  points: GrowthPoint[];
  /** Bytes per request: of the line that fits the points best, the first left out. */
  heapSlope: number;
  rssSlope: number;
  /** The requests asked for were not reached in the time given. */
  cut: boolean;
}

const CONNECTIONS = 64;
/** Warm-up: until then code is compiled and buffers find their size. */
const WARM_REQUESTS = 100_000;

/** Half of them over the static route, half over the dynamic one. */
export async function measureGrowth({
  requests,
  deadlineMs,
  sliceMs,
  cores,
  progress,
}: GrowthOptions): Promise<Growth> {
  const stops: (() => unknown)[] = [];
  try {
    const backend = await startBackend({ answerBytes: 12, uploads: false }, cores.others);
    stops.push(backend.stop);
    const { evenkeel, inspector } = await startInspected(backend.port, cores, stops);
    const load = createLoad(cores.others);
    stops.push(load.stop);
    const task = { port: evenkeel.port, connections: CONNECTIONS, bodyBytes: 0, durationMs: sliceMs };
    const points: GrowthPoint[] = [];
    const startMs = performance.now();
    let done = 0;
    while (done < requests && performance.now() - startMs < deadlineMs) {
      for (const path of [evenkeel.paths.static, evenkeel.paths.dynamic]) {
        done += (await load.full({ ...task, path })).requests;
      }
      if (done < WARM_REQUESTS) continue;
      const memory = await inspector.memory();
      points.push({ requests: done, memory });
      progress(
        `${done} requests: ${(memory.heapUsed / MIB).toFixed(2)} MiB of heap, ${(memory.rss / MIB).toFixed(1)} resident`,
      );
    }
    const slope = (value: (memory: Memory) => number) =>
      slopeOf(points.slice(1).map((point) => [point.requests, value(point.memory)]));
    const heapSlope = slope(({ heapUsed, external }) => heapUsed + external);
    return { points, heapSlope, rssSlope: slope(({ rss }) => rss), cut: done < requests };
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

/** Least squares. */
export function slopeOf(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (values: number[]) => values.reduce((sum, one) => sum + one, 0) / values.length;
  const [x, y] = [mean(points.map((point) => point[0])), mean(points.map((point) => point[1]))];
  const covariance = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0);
  return covariance / points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
}

/** Bytes each, over what the gateway held before. */
export interface PerConnection {
  kind: string;
  count: number;
  heap: number;
  external: number;
  rss: number;
}

const STREAM_BYTES = 20 * MIB;
const STREAMS = 16;
/** Long enough for all buffers on the way to fill while nobody reads. */
const STALL_MS = 2_000;

/** Bodies that nobody reads at their end: as much of each as the gateway will take is then in its memory. */
export async function measureStreams({ cores, progress }: MemoryOptions): Promise<PerConnection[]> {
  const stops: (() => unknown)[] = [];
  try {
    const backend = await startIdleBackend(cores.others);
    stops.push(backend.stop);
    const { evenkeel, inspector } = await startInspected(backend.port, cores, stops);
    const head = (method: string, more = "") =>
      `${method} ${evenkeel.paths.static} HTTP/1.1\r\nhost: bench\r\n${more}\r\n`;
    const rows: PerConnection[] = [];
    const kinds = [
      ["downloads", head("GET", `x-bench: download ${STREAM_BYTES}\r\n`), null],
      [
        "uploads",
        head("POST", `x-bench: stall\r\ncontent-length: ${STREAM_BYTES}\r\n`),
        Buffer.alloc(STREAM_BYTES),
      ],
    ] as const;
    for (const [kind, request, body] of kinds) {
      // The first one grows what stays: compiled code, pools.
      for (const count of [1, STREAMS]) {
        progress(`${count} ${kind} of 20 MiB that stand still`);
        const before = await inspector.memory();
        const sockets = await openAll(evenkeel.port, count, request);
        for (const socket of sockets) {
          socket.pause();
          if (body) socket.write(body);
        }
        await sleep(STALL_MS);
        if (count === STREAMS) rows.push(each(`${kind} of 20 MiB`, count, before, await inspector.memory()));
        await closeAll(sockets);
        await sleep(STALL_MS);
      }
    }
    return rows;
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

/** Open, and silent after the switch of protocols. */
export async function measureSockets(
  count: number,
  { cores, progress }: MemoryOptions,
): Promise<PerConnection[]> {
  const stops: (() => unknown)[] = [];
  try {
    const backend = await startIdleBackend(cores.others);
    stops.push(backend.stop);
    const { evenkeel, inspector } = await startInspected(backend.port, cores, stops);
    const rows: PerConnection[] = [];
    for (const kind of ["static", "dynamic"] as const) {
      const request = `GET ${evenkeel.paths[kind]} HTTP/1.1\r\nhost: bench\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
      await closeAll(await openAll(evenkeel.port, CONNECTIONS, request, "101"));
      await sleep(STALL_MS);
      const before = await inspector.memory();
      progress(`opening ${count} WebSockets over the ${kind} route`);
      const sockets = await openAll(evenkeel.port, count, request, "101");
      await sleep(STALL_MS);
      rows.push(each(`WebSockets, ${kind} route`, count, before, await inspector.memory()));
      await closeAll(sockets);
      await sleep(STALL_MS);
    }
    return rows;
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

async function startInspected(
  backendPort: number,
  cores: Cores,
  stops: (() => unknown)[],
): Promise<{ evenkeel: Evenkeel; inspector: Inspector }> {
  const evenkeel = await startEvenkeel(backendPort, cores, INSPECTABLE);
  stops.push(evenkeel.stop);
  const inspector = await inspect(evenkeel.pid, evenkeel.log);
  stops.push(inspector.close);
  return { evenkeel, inspector };
}

const each = (kind: string, count: number, before: Memory, after: Memory): PerConnection => ({
  kind,
  count,
  heap: (after.heapUsed - before.heapUsed) / count,
  external: (after.external - before.external) / count,
  rss: (after.rss - before.rss) / count,
});

/** Connections opened at once: fewer than any backlog. */
const BATCH = 100;

/** Each sends the request. @param status to wait for on every connection; left out: nothing is read */
async function openAll(port: number, count: number, request: string, status?: string): Promise<Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < count) {
    const batch = Array.from({ length: Math.min(BATCH, count - sockets.length) }, () =>
      open(port, request, status),
    );
    sockets.push(...(await Promise.all(batch)));
  }
  return sockets;
}

function open(port: number, request: string, status: string | undefined): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" });
    const fail = (reason: string) => reject(new Error(`a connection to the gateway ${reason}`));
    socket.once("error", ({ message }) => fail(`failed: ${message}`));
    socket.once("close", () => fail("was closed"));
    socket.once("connect", () => {
      socket.write(request);
      if (status === undefined) resolve(socket);
    });
    if (status === undefined) return;
    socket.once("data", (chunk) => {
      if (chunk.toString("latin1").startsWith(`HTTP/1.1 ${status} `)) resolve(socket);
      else fail(`got: ${chunk.toString("latin1").slice(0, 200)}`);
    });
  });
}

async function closeAll(sockets: readonly Socket[]): Promise<void> {
  const closed = sockets.map((socket) => new Promise((resolve) => socket.once("close", resolve)));
  for (const socket of sockets) socket.destroy();
  await Promise.all(closed);
}
