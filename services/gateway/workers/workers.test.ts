import type { SendHandle } from "node:child_process";
import { resolveConfig } from "@evenkeel/core/config/resolve.ts";
import type { ConfigDocument, ListenerDocument } from "@evenkeel/core/config/schema.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics, type MetricsSnapshot, takeSnapshot } from "@evenkeel/runtime/metrics.ts";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { SharedSocket } from "../listeners/bind.ts";
import type { Assignment, FromWorker, Question, ToWorker } from "./messages.ts";
import type { WorkerProcess } from "./worker.ts";
import { createWorkers } from "./workers.ts";

const STOP_TIMEOUT_MS = 5_000;
const log = createLog("silent", { role: "test", id: "test" });

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Time for what was sent to be answered. */
const turn = () => vi.advanceTimersByTimeAsync(0);

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
  #tell: (message: FromWorker) => void = () => {};
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
      return [{ pool: "p", version: 1, deciding: "scheduler", held: this.held, eligible: [] }];
    this.greet(null);
    return null;
  }

  /** As it comes out of a channel between processes: it changes no more. */
  async #snapshot(): Promise<MetricsSnapshot> {
    return JSON.parse(JSON.stringify(await takeSnapshot(this.metrics)));
  }

  onMessage(listener: (message: FromWorker) => void): void {
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

const listener = (more: Partial<ListenerDocument> = {}): ListenerDocument => ({
  name: "web",
  protocol: "http",
  port: 80,
  ...more,
});
const documentOf = (workers: number, ...listeners: ListenerDocument[]): ConfigDocument => ({
  listeners: listeners.length > 0 ? listeners : [listener()],
  routes: [],
  pools: [],
  workers,
});

function scene() {
  const processes: Pretend[] = [];
  const metrics = createMetrics();
  const open: SharedSocket[] = [];
  let shared = false;
  const setShared = (on: boolean) => {
    shared = on;
  };
  let version = 0;
  let serial = 0;
  const workers = createWorkers({
    id: "g",
    spawn(id) {
      const one = new Pretend(id);
      processes.push(one);
      return one;
    },
    sockets: { open: () => open, setShared },
    stopTimeoutMs: STOP_TIMEOUT_MS,
    metrics,
    log,
    clock: () => performance.now(),
  });
  const openSocket = (key: string) => {
    serial += 1;
    open.push({ key, serial, handle: () => ({}) as SendHandle });
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
  return { workers, processes, metrics, apply, greetAll, shown, openSocket, shared: () => shared };
}

describe("the workers of a gateway", () => {
  it("are none while the configuration wants one process", async () => {
    const { workers, processes, apply, shared, shown } = scene();
    await apply(documentOf(1));
    expect(processes).toEqual([]);
    expect(workers.notReady()).toBe(null);
    expect(shared()).toBe(false);
    expect(await shown("evenkeel_gateway_workers")).toBe(1);
  });

  it("are one fewer than the processes wanted, each with the sockets and the configuration once it has greeted", async () => {
    const { workers, processes, apply, greetAll, shared } = scene();
    await apply(documentOf(3));
    expect(processes.map(({ id }) => id)).toEqual(["g.w2", "g.w3"]);
    expect(processes.flatMap(({ said }) => said)).toEqual([]);
    expect(workers.notReady()).toBe("2 of 3 processes not ready: starting");
    await greetAll();
    for (const one of processes) {
      expect(one.said.map(({ kind }) => kind)).toEqual(["socket", "configure"]);
      expect(one.assignments).toMatchObject([{ version: 1, sockets: ["0.0.0.0|80"] }]);
    }
    expect(workers.notReady()).toBe(null);
    expect(shared()).toBe(true);
  });

  it("are told each new configuration after the first process, and handed only what they do not have", async () => {
    const { processes, apply, greetAll, openSocket } = scene();
    await apply(documentOf(2));
    await greetAll();
    const [one] = processes;
    let told = -1;
    await apply(documentOf(2, listener(), listener({ name: "more", port: 81 })), () => {
      told = one?.assignments.length ?? -1;
      openSocket("0.0.0.0|81");
    });
    expect(told).toBe(1);
    expect(one?.sockets).toEqual(["0.0.0.0|80", "0.0.0.0|81"]);
    expect(one?.assignments.map(({ version }) => version)).toEqual([1, 2]);
  });

  it("let go of listeners that the next configuration drops before the first process opens others", async () => {
    const { processes, apply, greetAll } = scene();
    await apply(documentOf(2, listener(), listener({ name: "other", port: 81 })));
    await greetAll();
    const [one] = processes;
    const listenersTold = () => one?.assignments.at(-1)?.document.listeners.map(({ name }) => name);
    let before: unknown;
    await apply(
      documentOf(2, listener({ address: "127.0.0.1" }), listener({ name: "other", port: 81 })),
      () => {
        before = listenersTold();
      },
    );
    expect(before).toEqual(["other"]);
    expect(listenersTold()).toEqual(["web", "other"]);
  });

  it("that do not answer delay a configuration no longer than two seconds", async () => {
    const { workers, processes, apply, greetAll } = scene();
    await apply(documentOf(2));
    await greetAll();
    for (const one of processes) one.mute = true;
    const document = documentOf(2, listener({ address: "127.0.0.1" }));
    const applied = workers.apply(2, document, async () => resolveConfig(document));
    await vi.advanceTimersByTimeAsync(2_000);
    await applied;
  });

  it("go on with what they had when the first process cannot use a configuration", async () => {
    const { workers, processes, apply, greetAll } = scene();
    await apply(documentOf(2));
    await greetAll();
    const failed = expect(
      workers.apply(2, documentOf(5, listener({ port: 81 })), () => Promise.reject(new Error("no"))),
    ).rejects.toThrow("no");
    await turn();
    await failed;
    expect(processes).toHaveLength(1);
    expect(processes[0]?.assignments.at(-1)).toMatchObject({ version: 1, document: documentOf(2) });
  });

  it("get a socket that the first process could open only later", async () => {
    const { workers, processes, apply, greetAll, openSocket } = scene();
    await apply(documentOf(2, listener(), listener({ name: "late", port: 81 })));
    await greetAll();
    openSocket("0.0.0.0|81");
    workers.share();
    await turn();
    expect(processes[0]?.sockets).toEqual(["0.0.0.0|80", "0.0.0.0|81"]);
    expect(processes[0]?.assignments).toHaveLength(2);
  });

  it("are none where all listeners are of datagrams, which the first process takes alone", async () => {
    const { processes, apply } = scene();
    await apply(documentOf(3, listener({ protocol: "udp" })));
    expect(processes).toEqual([]);
  });

  it("drain when fewer are wanted, and are killed when they do not leave in time", async () => {
    const { processes, apply, greetAll, shared } = scene();
    await apply(documentOf(3));
    await greetAll();
    await apply(documentOf(1));
    expect(processes.map(({ signals }) => signals)).toEqual([["SIGTERM"], ["SIGTERM"]]);
    expect(shared()).toBe(false);
    processes[0]?.die("exit code 0");
    await vi.advanceTimersByTimeAsync(STOP_TIMEOUT_MS);
    expect(processes.map(({ signals }) => signals)).toEqual([["SIGTERM"], ["SIGTERM", "SIGKILL"]]);
    expect(processes).toHaveLength(2);
  });

  it("that die are started again under another name, later each time, and counted", async () => {
    const { workers, processes, apply, greetAll, shown } = scene();
    await apply(documentOf(2));
    await greetAll();
    processes[0]?.die();
    expect(workers.notReady()).toBe("1 of 2 processes not ready: ended (SIGKILL), to be started again");
    await vi.advanceTimersByTimeAsync(999);
    expect(processes).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(processes.map(({ id }) => id)).toEqual(["g.w2", "g.w3"]);
    await greetAll();
    expect(processes[1]?.said.map(({ kind }) => kind)).toEqual(["socket", "configure"]);
    expect(workers.notReady()).toBe(null);
    processes[1]?.die();
    await vi.advanceTimersByTimeAsync(1_999);
    expect(processes).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(processes).toHaveLength(3);
    expect(await shown("evenkeel_gateway_worker_restarts_total")).toBe(2);
  });

  it("are told to drain in the end, and none is started again", async () => {
    const { workers, processes, apply, greetAll } = scene();
    await apply(documentOf(3));
    await greetAll();
    processes[1]?.die();
    let stopped = false;
    void workers.stop().then(() => {
      stopped = true;
    });
    await turn();
    expect(processes[0]?.signals).toEqual(["SIGTERM"]);
    expect(stopped).toBe(false);
    processes[0]?.die("exit code 0");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(stopped).toBe(true);
    await apply(documentOf(4));
    expect(processes).toHaveLength(2);
  });

  it("have started once all have welcomed requests, or when they are late", async () => {
    const { workers, apply, greetAll } = scene();
    await apply(documentOf(2));
    let started = 0;
    const count = () => {
      started += 1;
    };
    void workers.started(10_000).then(count);
    await vi.advanceTimersByTimeAsync(9_999);
    expect(started).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(started).toBe(1);
    await greetAll();
    void workers.started(10_000).then(count);
    await turn();
    expect(started).toBe(2);
  });
});

describe("what several processes have counted", () => {
  it("is added up, also what a worker had counted that died or was told to leave", async () => {
    const { processes, metrics, apply, greetAll, shown } = scene();
    metrics.counter("requests_total", "Requests").inc(1);
    metrics.gauge("inflight", "Requests").set(1);
    await apply(documentOf(3));
    await greetAll();
    processes[0]?.count(10, 2);
    processes[1]?.count(100, 4);
    expect(await shown("requests_total")).toBe(111);
    expect(await shown("inflight")).toBe(7);
    expect(await shown("evenkeel_gateway_workers")).toBe(3);

    processes[0]?.die();
    expect(await shown("requests_total")).toBe(111);
    expect(await shown("inflight")).toBe(5);

    await apply(documentOf(1));
    processes[1]?.count(1_000, 0);
    await processes[1]?.farewell();
    processes[1]?.die("exit code 0");
    await turn();
    expect(await shown("requests_total")).toBe(1_111);
    expect(await shown("inflight")).toBe(1);
  });

  it("is what a worker said last where it does not answer within a second", async () => {
    const { processes, apply, greetAll, shown } = scene();
    await apply(documentOf(2));
    await greetAll();
    processes[0]?.count(10, 2);
    expect(await shown("requests_total")).toBe(10);
    for (const one of processes) one.mute = true;
    processes[0]?.count(5, 2);
    expect(await shown("requests_total")).toBe(10);
    expect(await shown("evenkeel_gateway_worker_unheard_total")).toBe(2);
  });

  it("is held together: what each has in flight, without those that do not answer", async () => {
    const { workers, processes, apply, greetAll } = scene();
    await apply(documentOf(3));
    await greetAll();
    for (const one of processes) one.held = { a: 2 };
    const own = [{ pool: "p", version: 1, deciding: "scheduler" as const, held: { a: 1 }, eligible: [] }];
    const all = workers.views(own);
    await turn();
    expect((await all)[0]?.held).toEqual({ a: 5 });
    if (processes[0]) processes[0].mute = true;
    const some = workers.views(own);
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await some)[0]?.held).toEqual({ a: 3 });
  });
});
