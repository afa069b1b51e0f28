import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { configKey, eventChannel } from "@evenkeel/runtime/keys.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { readMembers } from "@evenkeel/runtime/presence.ts";
import { openRedis } from "@evenkeel/runtime/redis.ts";
import { describe, expect, inject, it, onTestFinished } from "vitest";

const MAIN = join(import.meta.dirname, "main.ts");
const WAIT = { timeout: 15_000 };
const log = createLog("silent", { role: "test", id: "test" });

/** The gateway process, and what it has said so far. */
function start(variables: Record<string, string>) {
  const child: ChildProcess = spawn(process.execPath, [MAIN], {
    env: { PATH: process.env.PATH, EVENKEEL_REDIS_URL: inject("redisUrl"), ...variables },
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  const reports: { url: string; adminUrl: string }[] = [];
  child.on("message", (message) => reports.push(message as (typeof reports)[number]));
  let logged = "";
  child.stdout?.on("data", (chunk) => {
    logged += chunk;
  });
  const exited = once(child, "exit").then(([code]) => code as number | null);
  return { child, reports, logged: () => logged, exited };
}

/** A configuration in Redis, as the scheduler publishes it. */
function openConfig(prefix: string) {
  const redis = openRedis({ url: inject("redisUrl"), name: "gateway-test" }, log);
  onTestFinished(async () => {
    await redis.del(configKey(prefix));
    redis.disconnect();
  });
  let version = 0;
  const publish = async (document: ConfigDocument) => {
    version += 1;
    await redis.hset(configKey(prefix), { version, document: JSON.stringify(document) });
    await redis.publish(eventChannel(prefix), JSON.stringify({ type: "config", version }));
  };
  return { redis, publish };
}

async function startBackend(text: string): Promise<string> {
  const server = createServer((_, response) => response.end(text)).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const documentFor = (origin: string, port = 0): ConfigDocument => ({
  listeners: [{ name: "web", protocol: "http", port, address: "127.0.0.1" }],
  routes: [{ name: "all", match: {}, proxy: "dynamic", pool: "p" }],
  pools: [{ name: "p", backends: [{ id: "b1", url: origin }] }],
});

const text = async (url: string) => (await fetch(url)).text();

describe("the gateway process", () => {
  it("waits for a configuration, serves it without any scheduler, follows the next one, and drains", async () => {
    const prefix = `gateway-test-${process.pid}`;
    const { redis, publish } = openConfig(prefix);
    await expect.poll(() => redis.status, WAIT).toBe("ready");
    const { child, reports, logged, exited } = start({ EVENKEEL_PREFIX: prefix });
    await expect.poll(async () => (await readMembers(redis, prefix)).length, WAIT).toBe(1);
    const [member] = await readMembers(redis, prefix);
    expect(member).toMatchObject({ role: "gateway", pid: child.pid });
    const adminUrl = member?.adminUrl ?? "";
    expect(await text(`${adminUrl}/readyz`)).toContain("no configuration yet");
    expect(reports).toEqual([]);

    await publish(documentFor(await startBackend("one")));
    await expect.poll(() => reports, WAIT).toMatchObject([{ adminUrl }]);
    const url = reports[0]?.url ?? "";
    expect(await text(`${adminUrl}/readyz`)).toContain('"ready"');
    expect(await text(url)).toBe("one");
    expect(JSON.parse(await text(`${adminUrl}/v1/pools`))).toMatchObject({
      pools: [{ pool: "p", deciding: "fallback", eligible: ["b1"] }],
    });
    expect(await text(`${adminUrl}/metrics`)).toMatch(
      /^evenkeel_gateway_requests_total\{route="all",code_class="2xx"\} 1$/m,
    );

    await publish(documentFor(await startBackend("two")));
    await expect.poll(() => text(url), WAIT).toBe("two");

    await publish({ routes: "of a later release" } as unknown as ConfigDocument);
    await expect.poll(logged, WAIT).toContain("configuration not understood");
    expect(await text(url)).toBe("two");
    await publish(documentFor(await startBackend("three")));
    await expect.poll(() => text(url), WAIT).toBe("three");

    child.kill("SIGTERM");
    expect(await exited).toBe(0);
    expect(await readMembers(redis, prefix)).toEqual([]);
  });

  it("that cannot open a listener of its first configuration says which and ends", async () => {
    const prefix = `gateway-port-test-${process.pid}`;
    const { redis, publish } = openConfig(prefix);
    await expect.poll(() => redis.status, WAIT).toBe("ready");
    const origin = await startBackend("in the way");
    await publish(documentFor(origin, Number(new URL(origin).port)));
    const { exited, logged } = start({ EVENKEEL_PREFIX: prefix });
    expect(await exited).toBe(1);
    expect(logged()).toContain('listener \\"web\\" cannot open port');
    expect(logged()).toContain("EVENKEEL_PORT_OFFSET");
  });
});
