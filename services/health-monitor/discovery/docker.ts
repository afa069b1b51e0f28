// Backends out of a Docker Engine: its labelled containers. The Engine's events make it quick, listing every few seconds
// makes it certain. All pools with the same Engine share one listing and one stream of events.
import type { DockerSource } from "@evenkeel/core/config/resolve-discovery.ts";
import type Dockerode from "dockerode";
import { backendsOf, type Container, POOL_LABEL } from "./docker-containers.ts";
import {
  backOffMs,
  type RunningSource,
  realTimers,
  reasonOf,
  type SourceAnswer,
  type SourceStart,
  type Timers,
} from "./source.ts";

/** For one answer of the Engine. */
const ANSWER_TIMEOUT_MS = 5_000;
/** Events come in bursts, one listing tells them all. */
const LIST_AFTER_EVENT_MS = 100;
/** Between attempts to reach an Engine. */
const RETRY_FIRST_MS = 500;
const RETRY_LONGEST_MS = 15_000;
const NO_LIST = "the answer is not a list of containers";
/** After which a container may have come, gone, or changed its mind. */
const EVENTS = ["start", "die", "stop", "destroy", "pause", "unpause", "rename", "health_status"];

export interface Engines {
  watch(settings: DockerSource, start: SourceStart): RunningSource;
}

interface Watcher {
  settings: DockerSource;
  start: SourceStart;
}

export function createEngines(timers: Timers = realTimers, answerTimeoutMs = ANSWER_TIMEOUT_MS): Engines {
  const engines = new Map<string, ReturnType<typeof followEngine>>();
  return {
    watch(settings, start) {
      const { host } = settings;
      const engine = engines.get(host) ?? followEngine(host, timers, answerTimeoutMs);
      engines.set(host, engine);
      const watcher = { settings, start };
      engine.add(watcher);
      return {
        stop() {
          engine.remove(watcher);
          if (engine.idle && engines.get(host) === engine) engines.delete(host);
        },
      };
    },
  };
}

function followEngine(host: string, timers: Timers, answerTimeoutMs: number) {
  const watchers = new Set<Watcher>();
  const abort = new AbortController();
  let client: Promise<Dockerode> | null = null;
  let failures = 0;
  let listing = false;
  let again = false;
  let cancel = () => {};
  let cancelSoon: (() => void) | null = null;

  const opened = () => {
    client ??= openEngine(host);
    return client;
  };
  const next = () => {
    const intervalMs = Math.min(...[...watchers].map(({ settings }) => settings.intervalMs));
    return failures > 0
      ? backOffMs(failures, RETRY_FIRST_MS, Math.min(RETRY_LONGEST_MS, intervalMs))
      : intervalMs;
  };

  const list = async () => {
    again = listing;
    if (listing) return;
    listing = true;
    do {
      again = false;
      cancel();
      const told = [...watchers];
      const containers = await opened()
        .then((engine) => listContainers(engine, abort.signal, answerTimeoutMs))
        .catch(reasonOf);
      failures = typeof containers === "string" ? failures + 1 : 0;
      for (const { start, settings } of told.filter((watcher) => watchers.has(watcher))) {
        if (typeof containers === "string") start.tell({ ok: false, reason: `${host}: ${containers}` });
        else start.tell(read(containers, start.pool, settings));
      }
    } while (again && watchers.size > 0);
    listing = false;
    if (watchers.size > 0) cancel = timers.after(next(), () => void list());
  };

  const listSoon = () => {
    cancelSoon ??= timers.after(LIST_AFTER_EVENT_MS, () => {
      cancelSoon = null;
      void list();
    });
  };
  const stopFollowing = followEvents(opened, listSoon, timers, abort.signal);

  return {
    get idle() {
      return watchers.size === 0;
    },
    add(watcher: Watcher) {
      watchers.add(watcher);
      void list();
    },
    remove(watcher: Watcher) {
      watchers.delete(watcher);
      if (watchers.size > 0) return;
      cancel();
      cancelSoon?.();
      stopFollowing();
      abort.abort();
    },
  };
}

/** Engines, and what stands in for them or before them, are of many makes. */
function read(containers: readonly Container[], pool: string, settings: DockerSource): SourceAnswer {
  try {
    return backendsOf(containers, pool, settings);
  } catch {
    return { ok: false, reason: `${settings.host}: ${NO_LIST}` };
  }
}

/** Whatever comes is a hint to list again. A stream that ends is opened again. */
function followEvents(
  opened: () => Promise<Dockerode>,
  onEvent: () => void,
  timers: Timers,
  signal: AbortSignal,
): () => void {
  let failures = 0;
  let cancel = () => {};
  const reopen = () => {
    if (signal.aborted) return;
    failures += 1;
    cancel = timers.after(backOffMs(failures, RETRY_FIRST_MS, RETRY_LONGEST_MS), () => void follow());
  };
  const follow = async () => {
    try {
      const stream = await openEvents(await opened(), signal);
      const sinceMs = timers.nowMs();
      stream.on("data", onEvent);
      stream.on("error", () => {}); // "close" follows
      stream.once("close", () => {
        if (timers.nowMs() - sinceMs > RETRY_LONGEST_MS) failures = 0;
        reopen();
      });
      onEvent(); // what happened before is told by no event
    } catch {
      reopen(); // why is told by the listing, which fails too
    }
  };
  void follow();
  return () => cancel();
}

async function openEvents(engine: Dockerode, abortSignal: AbortSignal): Promise<NodeJS.ReadableStream> {
  const filters = { type: ["container"], label: [POOL_LABEL], event: EVENTS };
  return await engine.getEvents({ filters, abortSignal } as Dockerode.GetEventsOptions);
}

async function listContainers(
  engine: Dockerode,
  stopped: AbortSignal,
  timeoutMs: number,
): Promise<Container[]> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const abortSignal = AbortSignal.any([stopped, timeout]);
  const containers: unknown = await engine
    .listContainers({ filters: { label: [POOL_LABEL] }, abortSignal })
    .catch((error) => {
      throw timeout.aborted ? new Error(`no answer within ${timeoutMs} ms`) : error;
    });
  if (!Array.isArray(containers)) throw new Error(NO_LIST);
  return containers;
}

/** Loaded only where it is needed. Nothing is taken from the environment: the configuration says it all. */
async function openEngine(host: string): Promise<Dockerode> {
  const { default: Docker } = await import("dockerode");
  const { protocol, hostname, port, pathname } = new URL(host);
  if (protocol === "unix:") return new Docker({ ...NOWHERE, socketPath: pathname });
  const bare = hostname.replace(/^\[(.*)\]$/, "$1");
  return new Docker({ ...NOWHERE, host: bare, port: port || DEFAULT_PORT, protocol: "http" });
}

const DEFAULT_PORT = "2375";
/** Or DOCKER_HOST and the like would be read. */
const NOWHERE = {
  ...{ host: undefined, port: undefined, protocol: "http", pathPrefix: "/" },
  ...{ ca: undefined, cert: undefined, key: undefined, timeout: undefined },
} as object;
