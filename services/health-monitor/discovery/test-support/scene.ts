// Monitors that discover in one process, with a store in memory, sources that a test speaks for, and time by hand.
import { type Discovered, inOrder, type Source } from "@evenkeel/core/config/discovered.ts";
import type { BackendDocument, ConfigDocument, PoolDocument } from "@evenkeel/core/config/schema.ts";
import type { DiscoveryStore } from "@evenkeel/ledger/discovery-store.ts";
import { createLog, type Log } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { onTestFinished } from "vitest";
import { until } from "../../test-support/until.ts";
import { startDiscovery } from "../discovery.ts";
import { createDiscoveryMetrics } from "../metrics.ts";
import type { SourceAnswer, SourceStart } from "../source.ts";
import type { Sources } from "../sources.ts";
import { handTimers } from "./hand-timers.ts";

export const backend = (id: string): BackendDocument => ({ id, url: `http://${id}.example.com:80` });
export const good = (...ids: string[]): SourceAnswer => ({ ok: true, backends: ids.map(backend) });
export const failure: SourceAnswer = { ok: false, reason: "away" };

export const poolOf = (
  name: string,
  discovery: PoolDocument["discovery"],
  backends: BackendDocument[] = [],
) => ({ name, backends, ...(discovery ? { discovery } : {}) }) satisfies PoolDocument;

export const documentOf = (...pools: PoolDocument[]): ConfigDocument => ({
  listeners: [{ name: "web", protocol: "http", port: 80 }],
  routes: [],
  pools,
});

export function scene() {
  const { timers, pass } = handTimers();
  const store = memoryStore(() => timers.nowMs());
  const monitor = (id: string) => {
    const lines: { level: string; message: string; fields: object }[] = [];
    const running = new Map<string, SourceStart>();
    let starts = 0;
    const sources: Sources = {
      start(source, _settings, start) {
        const key = `${start.pool}/${source}`;
        starts += 1;
        running.set(key, start);
        return { stop: () => running.get(key) === start && running.delete(key) };
      },
      onRegistration() {},
    };
    const metrics = createMetrics();
    const own = memoryStoreOf(store, id);
    const discovery = startDiscovery({
      store: own,
      registrations: { list: async () => ({ nowMs: 0, registered: [] }) },
      schedulerAgoMs: async () => null,
      id,
      metrics: createDiscoveryMetrics(metrics),
      log: collectingLog(lines),
      timers,
      sources,
    });
    onTestFinished(() => discovery.stop());
    return {
      discovery,
      lines,
      own,
      configure: (written: ConfigDocument) => discovery.configure({ written, discovered: store.discovered }),
      running: () => [...running.keys()].toSorted(),
      starts: () => starts,
      known: (pool: string, source: Source) => running.get(`${pool}/${source}`)?.known.map(({ id }) => id),
      say(pool: string, source: Source, answer: SourceAnswer) {
        const start = running.get(`${pool}/${source}`);
        if (!start) throw new Error(`${id} runs no ${source} for ${pool}`);
        start.tell(answer);
      },
      metric: (name: string, labels = "") => metricOf(metrics, name, labels),
    };
  };
  /** Time passes in small steps, so that what is asked of the store is answered in between. */
  const wait = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 50) {
      pass(50);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const leading = (one: ReturnType<typeof monitor>) =>
    until("it leads", async () => {
      await wait(50);
      return one.discovery.leading;
    });
  return { store, monitor, wait, leading };
}

async function metricOf({ registry }: ReturnType<typeof createMetrics>, name: string, labels: string) {
  const text = await registry.metrics();
  const start = `evenkeel_monitor_discovery_${name}${labels} `;
  const line = text.split("\n").find((one) => one.startsWith(start));
  return line === undefined ? null : Number(line.slice(start.length));
}

function memoryStore(nowMs: () => number) {
  return { nowMs, leader: "", untilMs: 0, discovered: {} as Discovered, publications: 0 };
}

/** As one monitor reaches it, or does not. */
function memoryStoreOf(state: ReturnType<typeof memoryStore>, id: string): DiscoveryStore & { cut: boolean } {
  const own = { cut: false };
  const reach = async () => {
    if (own.cut) throw new Error("redis is away");
  };
  const leads = () => state.leader === id && state.untilMs > state.nowMs();
  return Object.assign(own, {
    async lead(_member: string, ttlMs: number) {
      await reach();
      if (state.untilMs > state.nowMs() && state.leader !== id) return false;
      Object.assign(state, { leader: id, untilMs: state.nowMs() + ttlMs });
      return true;
    },
    async resign() {
      await reach();
      if (leads()) state.untilMs = 0;
    },
    async read() {
      await reach();
      return structuredClone(state.discovered);
    },
    async publish(_member: string, discovered: Discovered) {
      await reach();
      if (!leads()) return "not-leading" as const;
      const next = inOrder(discovered);
      if (JSON.stringify(next) === JSON.stringify(inOrder(state.discovered))) return "unchanged" as const;
      state.discovered = structuredClone(next);
      state.publications += 1;
      return "published" as const;
    },
  });
}

function collectingLog(lines: { level: string; message: string; fields: object }[]): Log {
  const log = createLog("silent", { role: "test", id: "test" });
  for (const level of ["info", "warn", "error"] as const) {
    const collect = (fields: object | string, message = "") => {
      lines.push(
        typeof fields === "string" ? { level, message: fields, fields: {} } : { level, message, fields },
      );
    };
    Object.assign(log, { [level]: collect });
  }
  return log;
}
