// One worker as the first process of the gateway sees it: a process that is started, handed the sockets, told the
// configuration, asked questions, started again when it dies unasked, and told to drain in the end.
import type { SendHandle } from "node:child_process";
import type { MetricsSnapshot } from "@evenkeel/runtime/metrics.ts";
import type { Loan, OpenPort, OwnSockets } from "../listeners/bind.ts";
import { restartDelayMs } from "./back-off.ts";
import type { Assignment, Channel, FromWorker, Kind, Question, Questions, ToWorker } from "./messages.ts";

/** Nobody waits for the first configuration of a process; whether it is in use, its state tells. */
const ASSIGN_TIMEOUT_MS = 1_000;

/** A process of it, so that tests can pretend one. */
export interface WorkerProcess extends Channel<FromWorker, ToWorker> {
  readonly pid: number | undefined;
  /** Called once, however it ended. @param how in words */
  onExit(listener: (how: string) => void): void;
  kill(signal: "SIGTERM" | "SIGKILL"): void;
}

/** What the configuration wants of every worker. */
export interface Wanted {
  version: number;
  document: Assignment["document"];
  ports: OpenPort[];
}

export interface WorkerOptions {
  /** Starts a process. @param id unique to its lifetime */
  spawn(id: string): WorkerProcess;
  nextId(): string;
  sockets: Pick<OwnSockets, "lend" | "takeBack">;
  /** Longest wait after SIGTERM before SIGKILL. */
  stopTimeoutMs: number;
  /** ms, monotonic */
  clock(): number;
  onStarted(id: string, pid: number | undefined): void;
  onDied(id: string, how: string, restartInMs: number): void;
  /** @param snapshot what it had counted when it last said; null: it never did */
  onGone(snapshot: MetricsSnapshot | null): void;
}

interface Pending {
  settle(answer: unknown): void;
  timer: NodeJS.Timeout;
}

export class Worker {
  readonly #options: WorkerOptions;
  readonly #pending = new Map<number, Pending>();
  /** Ports that the present process knows of: for these it has a socket. */
  #known = new Set<string>();
  #process: WorkerProcess | null = null;
  #wanted: Wanted | null = null;
  #greeted = false;
  #notReady: string | null = "starting";
  #questions = 0;
  #startedAtMs = 0;
  #delayMs = 0;
  #restart: NodeJS.Timeout | undefined;
  #stopping = false;
  #gone: PromiseWithResolvers<void> = Promise.withResolvers();
  #lastMetrics: MetricsSnapshot | null = null;
  readonly #served = Promise.withResolvers<void>();

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#start();
  }

  /** Null: it welcomes requests. */
  get notReady(): string | null {
    return this.#notReady;
  }

  /** It has welcomed requests once, or need not any more. */
  get served(): Promise<void> {
    return this.#served.promise;
  }

  /** Resolves when it is in use, or after the time, or when the process is gone. */
  async configure(wanted: Wanted, timeoutMs: number): Promise<void> {
    this.#wanted = wanted;
    if (this.#greeted) await this.#assign(timeoutMs);
  }

  /** Null: no answer in time. */
  ask<K extends Kind>(
    kind: K,
    asked: Questions[K]["asked"],
    timeoutMs: number,
  ): Promise<Questions[K]["answer"] | null> {
    const process = this.#process;
    if (process === null || !this.#greeted) return Promise.resolve(null);
    this.#questions += 1;
    const id = this.#questions;
    return new Promise((resolve) => {
      const settle = (answer: unknown) => {
        clearTimeout(timer);
        this.#pending.delete(id);
        resolve(answer as Questions[K]["answer"] | null);
      };
      const timer = setTimeout(() => settle(null), timeoutMs);
      this.#pending.set(id, { settle, timer });
      process.send({ id, kind, asked } as Question);
    });
  }

  /** What it has counted; where it does not answer in time, what it had when it last did. */
  async metrics(timeoutMs: number): Promise<{ heard: boolean; snapshot: MetricsSnapshot | null }> {
    const last = this.#lastMetrics;
    const snapshot = await this.ask("metrics", {}, timeoutMs);
    if (snapshot === null) return { heard: false, snapshot: last };
    this.#lastMetrics = snapshot;
    return { heard: true, snapshot };
  }

  /** It drains; resolves when its process is gone. */
  stop(): Promise<void> {
    if (this.#stopping) return this.#gone.promise;
    this.#stopping = true;
    this.#notReady = "draining";
    this.#served.resolve();
    clearTimeout(this.#restart);
    const process = this.#process;
    if (process === null) {
      this.#gone.resolve();
    } else {
      process.kill("SIGTERM");
      const timer = setTimeout(() => process.kill("SIGKILL"), this.#options.stopTimeoutMs);
      void this.#gone.promise.then(() => clearTimeout(timer));
    }
    return this.#gone.promise;
  }

  #start(): void {
    const id = this.#options.nextId();
    const process = this.#options.spawn(id);
    this.#process = process;
    this.#startedAtMs = this.#options.clock();
    this.#options.onStarted(id, process.pid);
    process.onMessage((message, handle) => this.#onMessage(message, handle));
    process.onExit((how) => this.#onExit(id, how));
  }

  #onMessage(message: FromWorker, handle: SendHandle | undefined): void {
    if (message.kind === "socket") {
      if (handle !== undefined) this.#options.sockets.takeBack(message.key, handle);
      return;
    }
    if (message.kind === "answer") {
      this.#pending.get(message.id)?.settle(message.answer);
      return;
    }
    if (message.kind === "farewell") {
      this.#lastMetrics = message.metrics;
      return;
    }
    if (this.#stopping) return;
    this.#notReady = message.notReady;
    if (message.notReady === null) this.#served.resolve();
    if (this.#greeted) return;
    this.#greeted = true;
    void this.#assign(ASSIGN_TIMEOUT_MS);
  }

  async #assign(timeoutMs: number): Promise<void> {
    if (this.#wanted === null) return;
    const { version, document, ports } = this.#wanted;
    const loans = ports.filter(({ key }) => !this.#known.has(key)).map(({ key }) => this.#lend(key));
    this.#known = new Set(ports.map(({ key }) => key));
    const answer = await this.ask("configure", { version, document, ports }, timeoutMs);
    for (const loan of loans) loan?.settle(answer === true);
  }

  #lend(key: string): Loan | null {
    const loan = this.#options.sockets.lend(key);
    if (loan !== null) this.#process?.send({ kind: "socket", key }, loan.handle);
    return loan;
  }

  #onExit(id: string, how: string): void {
    this.#process = null;
    this.#greeted = false;
    this.#known.clear();
    for (const { settle } of [...this.#pending.values()]) settle(null);
    this.#options.onGone(this.#lastMetrics);
    this.#lastMetrics = null;
    if (this.#stopping) {
      this.#gone.resolve();
      return;
    }
    this.#notReady = `ended (${how}), to be started again`;
    this.#delayMs = restartDelayMs(this.#delayMs, this.#options.clock() - this.#startedAtMs);
    this.#options.onDied(id, how, this.#delayMs);
    this.#restart = setTimeout(() => this.#start(), this.#delayMs);
  }
}
