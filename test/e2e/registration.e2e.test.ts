// A pool that no one configures: its backends start with `evenkeel register`, come, go and die under traffic.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { afterEach, describe, expect, inject, it } from "vitest";
import { freePort } from "../../libs/cli/supervisor/ports.ts";
import { startCluster, type TestCluster, waitFor } from "../support/cluster.ts";
import { constantRate, createClient, failures } from "../support/load.ts";
import { consecutivePorts } from "../support/scene.ts";

const CLI = fileURLToPath(new URL("../../libs/cli/bin/evenkeel.js", import.meta.url));
const BACKEND = fileURLToPath(new URL("../../libs/cli/demo/backend.ts", import.meta.url));
const GATEWAYS = 2;
const PER_SECOND = 100;
const TTL_MS = 2_000;
/** A monitor looks each second; the rest is for a busy machine. */
const SLACK_MS = 3_000;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function open(): Promise<{ cluster: TestCluster; urls: string[] }> {
  const port = await consecutivePorts(GATEWAYS);
  const config: ConfigDocument = {
    listeners: [{ name: "web", protocol: "http", port, address: "127.0.0.1" }],
    routes: [{ name: "all", match: {}, proxy: "dynamic", pool: "shop" }],
    pools: [
      {
        name: "shop",
        backends: [],
        discovery: { registration: { allow: ["127.0.0.0/8"], ttlMs: TTL_MS }, whenEmpty: "empty" },
      },
    ],
    debugHeaders: true,
  };
  const cluster = await startCluster({ config, gateways: GATEWAYS, redisUrl: inject("redisUrl") });
  cleanups.push(() => cluster.stop());
  return { cluster, urls: cluster.gateways.map(({ url }) => url) };
}

interface Registered {
  process: ChildProcess;
  ended: Promise<unknown[]>;
}

async function start({ schedulers }: TestCluster, id: string): Promise<Registered> {
  const port = await freePort();
  const own = ["--pool", "shop", "--id", id, "--url", `http://:${port}`, "--drain", "500"];
  const flags = [...own, "--api", schedulers.map(({ url }) => url).join(",")];
  const process_ = spawn(process.execPath, [CLI, "register", ...flags, "--", process.execPath, BACKEND], {
    env: { PATH: process.env.PATH, BACKEND_ID: id, BACKEND_PORT: String(port) },
    stdio: ["ignore", "ignore", "inherit"],
    detached: true, // a group of its own, to be killed as a whole
  });
  const ended = once(process_, "exit");
  cleanups.push(() => kill(process_));
  return { process: process_, ended };
}

function kill({ pid }: ChildProcess): void {
  try {
    process.kill(-(pid as number), "SIGKILL");
  } catch {} // it is gone
}

async function idsAt({ schedulers }: TestCluster): Promise<string[]> {
  const response = await fetch(`${schedulers[0]?.url}/v1/pools/shop`);
  const { backends } = (await response.json()) as { backends: { id: string }[] };
  return backends.map(({ id }) => id);
}

const consistsOf = (cluster: TestCluster, timeoutMs: number, ...ids: string[]) =>
  waitFor(async () => (await idsAt(cluster)).join() === ids.join(), {
    timeoutMs,
    what: `the pool to consist of ${ids.join(", ") || "nobody"}`,
  });

describe("backends that register themselves", () => {
  it("serve, leave without a failed response, and are out within their time when they die with their sidecar", async () => {
    const { cluster, urls } = await open();
    const client = createClient();
    cleanups.push(() => client.close());
    const first = await start(cluster, "b1");
    const second = await start(cluster, "b2");
    // Its renewals show that others could renew too: who does not is dead, and not cut off from every scheduler.
    await start(cluster, "b3");
    await consistsOf(cluster, 30_000, "b1", "b2", "b3");
    const served = new Set<string>();
    const allServe = async () => {
      for (const { status, backend, target } of await Promise.all(urls.map((url) => client.get(url)))) {
        if (status === 200) served.add(`${backend} at ${target}`);
      }
      return served.size === 3 * GATEWAYS;
    };
    await waitFor(allServe, { timeoutMs: 20_000, what: "all backends to serve on every gateway" });

    const load = constantRate(client, urls, PER_SECOND);
    await waitFor(() => load.answers.length > PER_SECOND, { timeoutMs: 20_000, what: "traffic" });
    first.process.kill("SIGTERM");
    expect(await first.ended).toEqual([0, null]);
    await consistsOf(cluster, SLACK_MS, "b2", "b3");
    const answers = await load.stop();
    expect(failures(answers)).toEqual([]);

    kill(second.process);
    await second.ended;
    await consistsOf(cluster, TTL_MS + SLACK_MS, "b3");
  });
});
