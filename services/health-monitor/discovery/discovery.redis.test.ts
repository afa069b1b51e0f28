import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { createConfigStore } from "@evenkeel/ledger/config-store.ts";
import { createDiscoveryStore } from "@evenkeel/ledger/discovery-store.ts";
import { createRegistrations } from "@evenkeel/ledger/registrations.ts";
import { configKey, registrationIndexKey, registrationKey } from "@evenkeel/runtime/keys.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { openRedis, type Redis } from "@evenkeel/runtime/redis.ts";
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { until as untilWithin } from "../test-support/until.ts";

const SCRIPT = join(import.meta.dirname, "test-support", "discovery-process.ts");
const TTL_MS = 3_000;
/** Processes start slowly where many do. */
const PATIENCE_MS = 30_000;
const until: typeof untilWithin = (what, condition) => untilWithin(what, condition, PATIENCE_MS);
let redis: Redis;
let prefixes = 0;

beforeAll(async () => {
  const log = createLog("silent", { role: "test", id: "test" });
  redis = openRedis({ url: inject("redisUrl"), name: "discovery-test", commandTimeoutMs: 10_000 }, log);
  await new Promise((resolve) => redis.once("ready", resolve));
});
afterAll(() => redis.disconnect());

const backend = (id: string) => ({ id, url: `http://10.1.0.${id.charCodeAt(0)}:80` });

/** A configuration with a file and registration as sources, and whoever leads, as processes. */
async function scene() {
  const prefix = `discovery-test-${process.pid}-${prefixes++}`;
  const folder = mkdtempSync(join(tmpdir(), "evenkeel-discovery-"));
  const path = join(folder, "shop.json");
  const put = (...ids: string[]) => {
    writeFileSync(`${path}.new`, JSON.stringify(ids.map(backend)));
    renameSync(`${path}.new`, path);
  };
  const configs = createConfigStore({ redis, prefix });
  const store = createDiscoveryStore({ redis, prefix });
  const registrations = createRegistrations({ redis, prefix });
  const children: ChildProcess[] = [];
  onTestFinished(async () => {
    for (const child of children) child.kill("SIGKILL");
    rmSync(folder, { recursive: true });
    await redis.del(configKey(prefix));
  });
  const document: ConfigDocument = {
    listeners: [{ name: "web", protocol: "http", port: 8080 }],
    routes: [],
    pools: [
      {
        name: "shop",
        backends: [],
        discovery: { file: { path }, registration: { allow: ["10.0.0.0/8"], ttlMs: TTL_MS } },
      },
    ],
  };
  const read = async () => {
    const { shop } = await store.read();
    return { file: idsOf(shop?.file), registration: idsOf(shop?.registration) };
  };
  return {
    put,
    store,
    registrations,
    read,
    apply: () => configs.apply(document, null),
    async lose() {
      await redis.del(configKey(prefix));
      await redis.del(
        registrationIndexKey(prefix),
        ...["s", "t"].map((id) => registrationKey(prefix, "shop", id)),
      );
    },
    leader: () => redis.hget(configKey(prefix), "leader"),
    start(id: string) {
      const child = spawn(process.execPath, [SCRIPT, inject("redisUrl"), prefix, id], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      children.push(child);
      let output = "";
      child.stdout?.on("data", (text) => {
        output += text;
      });
      return { child, says: (text: string) => output.includes(text) };
    },
    found: (file: string, registration = "") =>
      until(`found ${file} ${registration}`, async () => {
        const now = await read();
        return now.file === file && now.registration === registration;
      }),
  };
}

const idsOf = (backends: { id: string }[] = []) => backends.map(({ id }) => id).join();

async function kill(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

describe("discovery over a real Redis", { timeout: 60_000 }, () => {
  it("is gone on with when the monitor that leads is killed, without a gap", async () => {
    const { apply, put, start, found, leader, read } = await scene();
    put("a", "b");
    await apply();
    const one = start("one");
    await found("a,b");
    const two = start("two");
    await until("the second is there", () => two.says("configured"));
    await kill(one.child);
    const seen = new Set<string>();
    await until("the second leads", async () => {
      seen.add((await read()).file);
      return (await leader()) === "two" && two.says("this monitor does the discovery now");
    });
    put("a", "b", "c");
    await until("the second has found the third", async () => {
      const { file } = await read();
      seen.add(file);
      return file === "a,b,c";
    });
    expect([...seen]).toEqual(["a,b", "a,b,c"]);
  });

  it("is not disturbed by a monitor that led, was stopped, and woke up", async () => {
    const { apply, put, start, found, leader, store } = await scene();
    put("a");
    await apply();
    const one = start("one");
    await found("a");
    start("two");
    one.child.kill("SIGSTOP");
    await until("the second leads", async () => (await leader()) === "two");
    put("b");
    await found("b");
    expect(await store.publish("one", { shop: { file: [backend("z")] } })).toBe("not-leading");
    one.child.kill("SIGCONT");
    await until("the first has noticed", () => one.says("this monitor does the discovery no more"));
    put("c");
    await found("c");
    expect(await leader()).toBe("two");
  });

  it("finds who registers, and loses who leaves or is not renewed", async () => {
    const { apply, put, start, found, registrations } = await scene();
    put();
    await apply();
    const one = start("one");
    await until("it leads", () => one.says("this monitor does the discovery now"));
    await registrations.put("shop", backend("s"), 60_000);
    await registrations.put("shop", backend("t"), 60_000);
    await found("", "s,t");
    await registrations.put("shop", backend("r"), TTL_MS);
    await found("", "r,s,t");
    const renewing = setInterval(() => void registrations.put("shop", backend("s"), 60_000), 300);
    onTestFinished(() => clearInterval(renewing));
    expect(await registrations.remove("shop", "t")).toBe(true);
    await found("", "r,s");
    // Within its time, and one look more.
    const beganMs = performance.now();
    await found("", "s");
    expect(performance.now() - beganMs).toBeLessThan(TTL_MS + 2_000);
  });

  it("gives everyone who registered time to do so again when Redis lost all", async () => {
    const { apply, put, start, found, registrations, lose } = await scene();
    put("a");
    await apply();
    const one = start("one");
    await until("it leads", () => one.says("this monitor does the discovery now"));
    const renewing = setInterval(() => void registrations.put("shop", backend("s"), TTL_MS), 300);
    onTestFinished(() => clearInterval(renewing));
    await registrations.put("shop", backend("t"), TTL_MS);
    await found("a", "s,t");
    await lose();
    await apply();
    // The other one does not come back.
    const beganMs = performance.now();
    await found("a", "s");
    expect(performance.now() - beganMs).toBeGreaterThan(TTL_MS * 0.9);
  });
});
