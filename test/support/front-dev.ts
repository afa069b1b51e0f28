// TEMPORARY
import { resolveConfig } from "@evenkeel/core/config/resolve.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { createAccessServices } from "../../services/gateway/access/services.ts";
import { createDataPath } from "../../services/gateway/data-path.ts";
import { freePort } from "../../libs/cli/supervisor/ports.ts";
import { waitFor } from "./cluster.ts";
import { fileURLToPath } from "node:url";

export async function openFront(document: any, _redisUrl: string): Promise<any> {
  const taken = new Set<number>();
  const ports = new Map<string, number>();
  for (const { name } of document.listeners) ports.set(name, await freePort(taken));
  const listeners = document.listeners.map((one: any) => ({ address: "127.0.0.1", ...one, port: ports.get(one.name) }));
  const config = { ...document, listeners };
  const counts = new Map<string, Map<string, number>>();
  let pools = new Map<string, any>();
  const add = (pool: string, id: string, n: number) => {
    const p = counts.get(pool) as Map<string, number>;
    p.set(id, (p.get(id) ?? 0) + n);
  };
  const take = (pool: string, b: any) => {
    if (!b) return null;
    add(pool, b.id, 1);
    return { pool, backend: b.id, url: b.url, source: "scheduler" } as any;
  };
  const scheduling: any = {
    acquire(pool: string, want: any, done: any) {
      const free = (pools.get(pool)?.backends ?? []).filter((b: any) => !(want.exclude ?? []).includes(b.id));
      const p = counts.get(pool) as Map<string, number>;
      free.sort((a: any, b: any) => (p.get(a.id) ?? 0) - (p.get(b.id) ?? 0));
      done(take(pool, free[0]));
    },
    hold: (pool: string, backend: string) => take(pool, pools.get(pool)?.backends.find((b: any) => b.id === backend)),
    release: (pick: any) => add(pick.pool, pick.backend, -1),
    report() {},
    setPools(next: any[]) {
      pools = new Map(next.map((p) => [p.name, p]));
      for (const p of next) if (!counts.has(p.name)) counts.set(p.name, new Map(p.backends.map((b: any) => [b.id, 0])));
    },
    view: () => [],
    stop: async () => {},
  };
  const metrics = createMetrics();
  const log = createLog("warn" as any, { role: "gateway", id: "test" } as any);
  const clock = () => performance.now();
  const dataPath = createDataPath({
    scheduling, metrics, log,
    access: createAccessServices({ redis: {} as any, prefix: "test", metrics, log, clock, now: Date.now }),
    zone: "", cookieSecret: () => null, accessLog: process.env.ALOG ? ({ info: (l: any) => console.log(JSON.stringify(l)) } as any) : null, clock, random: Math.random, portOffset: 0,
    drainGraceMs: 0, drainDeadlineMs: 2000,
  } as any);
  const errors = await dataPath.configure(resolveConfig(config));
  if (errors.length) throw errors[0];
  const inflight = async (pool: string) => Object.fromEntries(counts.get(pool) as any);
  return {
    cluster: null,
    port: (l: string) => ports.get(l),
    inflight,
    async counts(pool: string, expected: any) {
      await waitFor(async () => JSON.stringify(await inflight(pool)) === JSON.stringify(expected), { timeoutMs: 5000, what: `counts ${JSON.stringify(expected)}` }).catch(async (e) => { throw new Error(e.message + JSON.stringify(await inflight(pool))); });
    },
    end: () => dataPath.drain(),
  };
}
export const certificateFile = (name: string): string =>
  fileURLToPath(new URL(`../../services/gateway/test-support/certificates/${name}`, import.meta.url));
