import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "@evenkeel/runtime/log.ts";
import { readMembers } from "@evenkeel/runtime/presence.ts";
import { openRedis } from "@evenkeel/runtime/redis.ts";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { CONFIG, settleBody } from "./test-support/api-scene.ts";

const MAIN = join(import.meta.dirname, "main.ts");
const log = createLog("silent", { role: "test", id: "test" });

/** A port of loopback on which nothing listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

/** The process; `logged` is what it has said so far, `url` where it answers. */
async function start(variables: Record<string, string>) {
  const child: ChildProcess = spawn(process.execPath, [MAIN], {
    env: { PATH: process.env.PATH, ...variables },
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  const reports: unknown[] = [];
  child.on("message", (message) => reports.push(message));
  let logged = "";
  child.stdout?.on("data", (chunk) => {
    logged += chunk;
  });
  const address = () => /"adminUrl":"([^"]+)"/.exec(logged)?.[1];
  await expect.poll(address, { timeout: 15_000 }).toBeDefined();
  const url = address() as string;
  const get = async (path: string) => {
    const response = await fetch(url + path);
    return { status: response.status, text: await response.text() };
  };
  const stop = async () => {
    child.kill("SIGTERM");
    return (await once(child, "exit"))[0] as number | null;
  };
  return { url, get, stop, reports };
}

const settle = (url: string) =>
  fetch(`${url}/v1/pools/shop/settle`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(settleBody()),
  });

describe("the scheduler process", () => {
  it("lives without Redis, says that it is not ready and why, and stops in order", async () => {
    const port = await closedPort();
    const { url, get, stop, reports } = await start({ EVENKEEL_REDIS_URL: `redis://127.0.0.1:${port}` });
    expect((await get("/healthz")).status).toBe(200);
    expect(await get("/readyz")).toMatchObject({
      status: 503,
      text: expect.stringContaining("redis unreachable"),
    });
    const refused = await settle(url);
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ code: "redis_unavailable" });
    expect((await get("/metrics")).text).toMatch(/^evenkeel_redis_up 0$/m);
    expect(reports).toEqual([]);
    expect(await stop()).toBe(0);
  });

  it("starts from its file, reports that it is ready, decides, and withdraws when told to stop", async () => {
    const prefix = `scheduler-test-${process.pid}`;
    const file = join(tmpdir(), `${prefix}.yaml`);
    await writeFile(file, JSON.stringify(CONFIG));
    onTestFinished(() => rm(file));
    const redis = openRedis({ url: inject("redisUrl"), name: "scheduler-test" }, log);
    onTestFinished(() => redis.disconnect());
    const { url, get, stop, reports } = await start({
      EVENKEEL_REDIS_URL: inject("redisUrl"),
      EVENKEEL_PREFIX: prefix,
      EVENKEEL_CONFIG: file,
    });
    await expect.poll(() => reports, { timeout: 10_000 }).toEqual([{ ready: true, url, adminUrl: url }]);
    expect((await get("/readyz")).status).toBe(200);
    const decided = await settle(url);
    expect(await decided.json()).toMatchObject({ status: "applied", picks: ["shop-1"] });
    await expect
      .poll(async () => (await readMembers(redis, prefix)).map(({ role, adminUrl }) => [role, adminUrl]))
      .toEqual([["scheduler", url]]);
    const { text } = await get("/metrics");
    expect(text).toMatch(/^evenkeel_scheduler_decisions_total\{pool="shop"\} 1$/m);
    expect(text).toMatch(/^evenkeel_config_version \d+$/m);
    expect(await stop()).toBe(0);
    expect(await readMembers(redis, prefix)).toEqual([]);
  });
});
