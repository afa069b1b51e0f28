// For tests of workers: processes that only pretend to be some, and the workers of a gateway over them, on a clock that is
// moved by hand.
import type { SendHandle } from "node:child_process";
import { resolveConfig } from "@evenkeel/core/config/resolve.ts";
import type { ConfigDocument, ListenerDocument } from "@evenkeel/core/config/schema.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics, type MetricsSnapshot, takeSnapshot } from "@evenkeel/runtime/metrics.ts";
import { afterEach, beforeEach, vi } from "vitest";
import type { Loan, OpenPort } from "../../listeners/bind.ts";
import type { Assignment, FromWorker, Question, ToWorker } from "../messages.ts";
import type { WorkerProcess } from "../worker.ts";
import { createWorkers } from "../workers.ts";

export const STOP_TIMEOUT_MS = 5_000;
const log = createLog("silent", { role: "test", id: "test" });

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Time for what was sent to be answered. */
export const turn = () => vi.advanceTimersByTimeAsync(0);

/** A process that answers what it is asked, until it is told to be mute or to die. */
class Pretend implements WorkerProcess {
  readonly id: string;
  readonly pid = 1;
  readonly said: ToWorker[] = [];
  readonly signals: string[] = [];
  readonly metrics = createMetrics();
  readonly requests = this.metrics.counter("requests_total", "Requests");
  readonly #inflight = this.metrics.gauge("inflight", "Requests");
  held: Record<string, number> = {};
  mute = false;
  #tell: (message: FromWorker, handle?: SendHandle) => void = () => {};
  #exit: (how: string) => void = () => {};

  constructor(id: string) {
    this.id = id;
  }

  get assignments(): Assignment[] {
    return this.said.flatMap((message) => (message.kind === "configure" ? [message.asked] : []));
  }

  get sockets(): string[] {
    return this.said.flatMap((message) => (message.kind === "socket" ? [message.key] : []));
  }

  count(requests: number, inflight: number): void {
    this.requests.inc(requests);
    this.#inflight.set(inflight);
  }

  greet(notReady: string | null = "no configuration yet"): void {
    this.#tell({ kind: "state", notReady });
  }

  async farewell(): Promise<void> {
    this.#tell({ kind: "farewell", metrics: await this.#snapshot() });
  }

  giveBack(key: string): void {
    this.#tell({ kind: "socket", key }, {} as SendHandle);
  }

  die(how = "SIGKILL"): void {
    this.#exit(how);
  }

  send(message: ToWorker, _handle?: SendHandle): void {
    this.said.push(message);
    if (message.kind === "socket" || this.mute) return;
    void this.#answer(message).then((answer) => this.#tell({ kind: "answer", id: message.id, answer }));
  }

  async #answer({ kind }: Question): Promise<unknown> {
    if (kind === "metrics") return this.#snapshot();
    if (kind === "pools")
      return [
        {
          pool: "p",
          version: 1,
          deciding: "scheduler",
          held: this.held,
          picks: {},
          failover: null,
          eligible: [],
        },
      ];
    this.greet(null);
    return true;
  }

  /** As it comes out of a channel between processes: it changes no more. */
  async #snapshot(): Promise<MetricsSnapshot> {
    return JSON.parse(JSON.stringify(await takeSnapshot(this.metrics)));
  }

  onMessage(listener: (message: FromWorker, handle?: SendHandle) => void): void {
    this.#tell = listener;
  }

  onExit(listener: (how: string) => void): void {
    this.#exit = listener;
  }

  kill(signal: string): void {
    this.signals.push(signal);
    if (signal === "SIGKILL") this.die();
  }
}

export const listener = (more: Partial<ListenerDocument> = {}): ListenerDocument => ({
  name: "web",
  protocol: "http",
  port: 80,
  ...more,
});
export const documentOf = (workers: number, ...listeners: ListenerDocument[]): ConfigDocument => ({
  listeners: listeners.length > 0 ? listeners : [listener()],
  routes: [],
  pools: [],
  workers,
});

export function scene() {
  const processes: Pretend[] = [];
  const metrics = createMetrics();
  const open: OpenPort[] = [];
  /** Sockets given back, and what became of those that were lent. */
  const spare: string[] = [];
  const settled: boolean[] = [];
  let version = 0;
  const workers = createWorkers({
    id: "g",
    spawn(id) {
      const one = new Pretend(id);
      processes.push(one);
      return one;
    },
    sockets: {
      open: () => [...open],
      lend: (key): Loan | null =>
        spare.includes(key)
          ? { handle: {} as SendHandle, settle: (taken) => void settled.push(taken) }
          : null,
      takeBack: (key) => void spare.push(key),
    },
    stopTimeoutMs: STOP_TIMEOUT_MS,
    metrics,
    log,
    clock: () => performance.now(),
  });
  const openSocket = (key: string) => {
    open.push({ key, port: Number(key.split("|")[1]) });
  };
  openSocket("0.0.0.0|80");
  const apply = async (document: ConfigDocument, use: () => void = () => {}) => {
    version += 1;
    const applied = workers.apply(version, document, async () => {
      use();
      return resolveConfig(document);
    });
    await turn();
    await applied;
  };
  /** All that wait for a configuration are given one. */
  const greetAll = async () => {
    for (const one of processes) if (one.said.length === 0) one.greet();
    await turn();
  };
  const shown = async (name: string) => {
    const scraped = workers.scrape();
    await vi.advanceTimersByTimeAsync(1_000);
    const found = (await scraped).split("\n").find((line) => line.startsWith(`${name} `));
    return found === undefined ? null : Number(found.split(" ")[1]);
  };
  return { workers, processes, metrics, apply, greetAll, shown, openSocket, spare, settled };
}
