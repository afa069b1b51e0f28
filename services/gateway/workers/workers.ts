// The further processes of this gateway: as many as the configuration wants, all with the configuration and the sockets
// of the first one, and together with it one replica: one readiness, one set of metrics, one drain.
import type { Config } from "@evenkeel/core/config/resolve.ts";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import {
  combine,
  countsOf,
  type Metrics,
  type MetricsSnapshot,
  takeSnapshot,
} from "@evenkeel/runtime/metrics.ts";
import type { OwnSockets } from "../listeners/bind.ts";
import type { PoolView } from "../scheduling/scheduling.ts";
import { addViews } from "./add-views.ts";
import { withoutDropped } from "./dropped.ts";
import { type Wanted, Worker, type WorkerOptions } from "./worker.ts";

/** Whoever asks for metrics or pools waits no longer than this for a worker. */
const ANSWER_TIMEOUT_MS = 1_000;
/** For workers to let go of sockets that this process is about to open anew; past it, it tries them again anyway. */
const LET_GO_TIMEOUT_MS = 2_000;

export interface WorkersOptions {
  /** Of this gateway: those of its workers begin with it. */
  id: string;
  spawn: WorkerOptions["spawn"];
  /** Of this process. */
  sockets: Pick<OwnSockets, "open" | "lend" | "takeBack">;
  stopTimeoutMs: number;
  metrics: Metrics;
  log: Log;
  /** ms, monotonic */
  clock(): number;
}

export interface Workers {
  /**
   * Has this process put a configuration to use, between what its workers must do before and what they do after.
   * Rejects as `use` does: then the workers go on with what they had.
   */
  apply(version: number, document: ConfigDocument, use: () => Promise<Config>): Promise<void>;
  /** This process has opened a socket: one that could not be opened when its configuration was put to use. */
  share(): void;
  /** Null when every worker welcomes requests. */
  notReady(): string | null;
  /** Resolves when all have welcomed requests once, or after the time: then they are late, and this process serves. */
  started(timeoutMs: number): Promise<void>;
  /** Of all processes, in Prometheus's form. */
  scrape(): Promise<string>;
  /** What all processes hold. @param own what this one does */
  views(own: PoolView[]): Promise<PoolView[]>;
  /** All of them drain; resolves when they are gone. */
  stop(): Promise<void>;
}

export function createWorkers(options: WorkersOptions): Workers {
  const { id, sockets, metrics, log, clock } = options;
  const restarts = metrics.counter(
    "evenkeel_gateway_worker_restarts_total",
    "Worker processes that died and were started again",
  );
  const unheard = metrics.counter(
    "evenkeel_gateway_worker_unheard_total",
    "Times a worker process did not answer in time, and what it had said before was shown",
  );
  const running = metrics.gauge("evenkeel_gateway_workers", "Processes of this gateway that serve");
  running.set(1);
  const workers: Worker[] = [];
  /** Told to drain, but not gone: they still serve, hold and count. */
  const leaving = new Map<Worker, Promise<void>>();
  let current: { version: number; document: ConfigDocument } | null = null;
  let stopped = false;
  let count = 1;
  /** What workers had counted that are gone. */
  let gone: MetricsSnapshot = [];
  let retiring: Promise<void> = Promise.resolve();
  let applying = false;

  const retire = async (snapshot: MetricsSnapshot) => {
    gone = await combine([gone, countsOf(snapshot)]).getMetricsAsJSON();
  };
  const workerOptions: WorkerOptions = {
    spawn: options.spawn,
    sockets,
    nextId() {
      count += 1;
      return `${id}.w${count}`;
    },
    stopTimeoutMs: options.stopTimeoutMs,
    clock,
    onStarted: (worker, pid) => log.info({ worker, pid }, "worker started"),
    onDied(worker, how, restartInMs) {
      restarts.inc();
      log.error({ worker, how, restartInMs }, "worker died");
    },
    onGone(snapshot) {
      if (snapshot !== null) retiring = retiring.then(() => retire(snapshot));
    },
  };

  /** Each that is there; one that starts asks when it is ready to hear. */
  const tell = (wanted: Wanted, timeoutMs: number) =>
    Promise.all(workers.map((worker) => worker.configure(wanted, timeoutMs)));
  const tellAll = () => {
    if (current) void tell({ ...current, ports: sockets.open() }, ANSWER_TIMEOUT_MS);
  };
  const letGo = async (next: ConfigDocument) => {
    const document = current === null ? null : withoutDropped(current.document, next);
    if (current === null || document === null) return;
    await tell({ version: current.version, document, ports: sockets.open() }, LET_GO_TIMEOUT_MS);
  };
  const present = () => [...workers, ...leaving.keys()];
  const scaleTo = (size: number) => {
    for (const worker of workers.splice(size)) {
      leaving.set(
        worker,
        worker.stop().then(() => void leaving.delete(worker)),
      );
    }
    while (workers.length < size) workers.push(new Worker(workerOptions));
  };

  return {
    async apply(version, document, use) {
      applying = true;
      try {
        await letGo(document);
        const config = await use();
        current = { version, document };
        if (!stopped) scaleTo(sizeOf(config));
      } finally {
        applying = false;
        tellAll();
      }
    },
    share() {
      if (!applying) tellAll();
    },
    notReady() {
      const waiting = workers.filter(({ notReady }) => notReady !== null);
      if (waiting.length === 0) return null;
      return `${waiting.length} of ${workers.length + 1} processes not ready: ${waiting[0]?.notReady}`;
    },
    async started(timeoutMs) {
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, timeoutMs);
      await Promise.race([late.promise, Promise.all(workers.map(({ served }) => served))]);
      clearTimeout(timer);
    },
    async scrape() {
      running.set(1 + workers.filter(({ notReady }) => notReady === null).length);
      await retiring;
      const past = gone; // who ends from now on is still among the answers
      const answers = await Promise.all(present().map((worker) => worker.metrics(ANSWER_TIMEOUT_MS)));
      for (const { heard } of answers) if (!heard) unheard.inc();
      const told = answers.flatMap(({ snapshot }) => (snapshot === null ? [] : [snapshot]));
      if (told.length === 0 && past.length === 0) return metrics.registry.metrics();
      return combine([await takeSnapshot(metrics), ...told, past]).metrics();
    },
    async views(own) {
      const answers = await Promise.all(
        present().map((worker) => worker.ask("pools", {}, ANSWER_TIMEOUT_MS)),
      );
      return addViews(own, answers.filter((views) => views !== null).flat());
    },
    async stop() {
      stopped = true;
      await Promise.all([...workers.map((worker) => worker.stop()), ...leaving.values()]);
    },
  };
}

/** Datagrams of one client must all meet the same process, so those listeners are the first one's alone. */
const sizeOf = ({ listeners, workers }: Config): number =>
  listeners.some(({ protocol }) => protocol !== "udp") ? workers - 1 : 0;
