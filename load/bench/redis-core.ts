// What a decision costs the one Redis core that decides for all: the ledger's `settle` beside a bare pipelined ZINCRBY.
// The two take turns, slice by slice, so that whatever else the machine does meets both alike; each ratio is between
// neighbouring slices. One pool after the other has the server to itself. Redis has a core of its own where the machine has one to spare.
import { execFileSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { POLICIES, type Policy } from "@evenkeel/core/config/schema-scheduling.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { openRedis } from "@evenkeel/runtime/redis.ts";
import type { Redis } from "ioredis";
import { freePort } from "../../libs/cli/supervisor/ports.ts";
import { openNursery } from "../../test/support/redis-process.ts";
import { median } from "./median.ts";
import { type Load, openIncrements, openSettles } from "./redis-load.ts";

const SIZES = [10, 100, 1_000, 10_000];
const BATCHES = [1, 16, 64];
/** Where policies are compared. */
const USUAL = { backends: 100, wants: 64 };
const HEADLINE: Policy = "least-connections";
const PIPELINE = 64;
const REDIS_CORE = 0;
const CLIENT_CORE = 1;

export interface CoreOptions {
  rounds: number;
  /** Of one slice. */
  sliceMs: number;
  progress(line: string): void;
}

/** Medians over the rounds. */
export interface CoreRow {
  /** `zincrby`: the bare pipelined one on a sorted set of so many members, where a decision is one command. */
  policy: Policy | "zincrby";
  backends: number;
  wants: number;
  /** Of Redis's processor time, per decision. */
  cpuUs: number;
  /** Decisions per second, and how busy Redis was meanwhile; below 1 the client was what set the pace. */
  perSecond: number;
  busy: number;
  /** Decisions per second of processor time ÷ those of the ZINCRBY slice before it, on a set of as many members. */
  ofZincrby: number;
}

interface Cell {
  policy: CoreRow["policy"];
  backends: number;
  wants: number;
  load: Load;
  slices: Slice[];
}

type Slice = Pick<CoreRow, "cpuUs" | "perSecond" | "busy" | "ofZincrby">;

/** @throws when there is no redis-server, or it stops answering */
export async function measureRedisCore({ rounds, sliceMs, progress }: CoreOptions): Promise<CoreRow[]> {
  const nursery = await openNursery();
  try {
    const { port, client } = await nursery.start(await freePort(), "--save", "");
    progress(await pinned(client));
    const redis = openRedis(
      { url: `redis://127.0.0.1:${port}`, name: "bench", commandTimeoutMs: 20_000 },
      createLog("silent", { role: "bench", id: "bench" }),
    );
    await new Promise((resolve) => redis.once("ready", resolve));
    const baselines = new Map<number, Cell>();
    for (const backends of SIZES) baselines.set(backends, await baselineCell(port, backends));
    const cells: Cell[] = [];
    for (const plan of plans()) {
      progress(`core: ${plan.policy}, ${plan.backends} backends, batches of ${plan.wants}`);
      const baseline = baselines.get(plan.backends) as Cell;
      const cell: Cell = { ...plan, load: await openSettles(redis, plan), slices: [] };
      await cell.load.run(sliceMs); // until every backend is known
      for (let round = 1; round <= rounds; round += 1) {
        const before = await slice(client, baseline, sliceMs, null);
        await slice(client, cell, sliceMs, before);
      }
      await cell.load.close(); // so that the next pool has the server to itself
      cells.push(cell);
    }
    for (const { load } of baselines.values()) await load.close();
    redis.disconnect();
    return [...baselines.values(), ...cells].map(rowOf);
  } finally {
    await nursery.stop();
  }
}

/** Sizes by batches for the usual policy, then the other policies. */
function plans(): { policy: Policy; backends: number; wants: number }[] {
  const sizes = SIZES.flatMap((backends) => BATCHES.map((wants) => ({ policy: HEADLINE, backends, wants })));
  const others = POLICIES.filter((policy) => policy !== HEADLINE);
  return [...sizes, ...others.map((policy) => ({ policy, ...USUAL }))];
}

async function baselineCell(port: number, backends: number): Promise<Cell> {
  const load = await openIncrements(port, backends, PIPELINE);
  return { policy: "zincrby", backends, wants: PIPELINE, load, slices: [] };
}

async function slice(client: Redis, cell: Cell, ms: number, baseline: Slice | null): Promise<Slice> {
  const [cpuBeforeS, startedMs] = [await cpuSeconds(client), performance.now()];
  const decisions = await cell.load.run(ms);
  const elapsedS = (performance.now() - startedMs) / 1_000;
  const spentS = (await cpuSeconds(client)) - cpuBeforeS;
  const cpuUs = (spentS / decisions) * 1e6;
  const measured = {
    cpuUs,
    perSecond: decisions / elapsedS,
    busy: spentS / elapsedS,
    ofZincrby: baseline ? baseline.cpuUs / cpuUs : 1,
  };
  cell.slices.push(measured);
  return measured;
}

function rowOf({ policy, backends, wants, slices }: Cell): CoreRow {
  const middle = (of: keyof Slice) => median(slices.map((s) => s[of]));
  return {
    policy,
    backends,
    wants,
    cpuUs: middle("cpuUs"),
    perSecond: middle("perSecond"),
    busy: middle("busy"),
    ofZincrby: middle("ofZincrby"),
  };
}

async function cpuSeconds(client: Redis): Promise<number> {
  const text = await client.info("cpu");
  const of = (name: string) => Number(new RegExp(`^${name}:([0-9.]+)`, "m").exec(text)?.[1]);
  return of("used_cpu_sys") + of("used_cpu_user");
}

/** Redis on one core, this process on another, where there are two and `taskset` is installed. */
async function pinned(client: Redis): Promise<string> {
  const server = /^process_id:(\d+)/m.exec(await client.info("server"))?.[1] ?? "";
  try {
    if (availableParallelism() < 2) throw new Error("there is one core");
    pin(server, REDIS_CORE);
    pin(String(process.pid), CLIENT_CORE);
    return `core: Redis on core ${REDIS_CORE}, client on core ${CLIENT_CORE}`;
  } catch (error) {
    return `core: Redis shares its core (${(error as Error).message.split("\n")[0]})`;
  }
}

const pin = (pid: string, core: number) =>
  execFileSync("taskset", ["-a", "-p", "-c", String(core), pid], { stdio: "ignore" });
