// What the policies promise, on whole clusters: the same answer through every gateway, and no count lost whatever an
// operator switches.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { POLICIES } from "@evenkeel/core/config/schema-scheduling.ts";
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { type TestBackend, waitFor } from "../support/cluster.ts";
import type { Answer } from "../support/load.ts";
import { openScene, POOL, type Scene, type SceneOptions, sumRows, total } from "../support/scene.ts";

const LOOPBACK = ["127.0.0.0/8"];
/** Makes the bound of the policy `hash` irrelevant: keys are asked for one after the other here. */
const NO_BOUND = 100;

async function open(options: SceneOptions): Promise<Scene> {
  const scene = await openScene({ gateways: 2, monitors: 1, redisUrl: inject("redisUrl"), ...options });
  onTestFinished(() => scene.end());
  return scene;
}

const ok = (answer: Answer): string => {
  if (answer.status !== 200 || answer.backend === null) throw new Error(JSON.stringify(answer));
  return answer.backend;
};

const inflightOf = async (scene: Scene) =>
  Object.fromEntries((await scene.pool()).backends.map(({ id, inflight }) => [id, inflight]));

const deciding = (scene: Scene, by: "scheduler" | "fallback") =>
  waitFor(async () => Object.values(await scene.views()).every((view) => view.deciding === by), {
    timeoutMs: 10_000,
    what: `decisions by the ${by}`,
  });

describe("the policy `hash`", () => {
  it("sends a key to the same backend through any gateway, also when no scheduler answers", async () => {
    const scene = await open({
      weights: [1, 2, 1, 1, 1],
      schedulers: 2,
      restart: false,
      pool: { policy: "hash", hash: { key: "path", bound: NO_BOUND } },
    });
    const paths = Array.from({ length: 24 }, (_, i) => `item/${i}`);
    const ask = async (url: string) => {
      const backends = [];
      for (const path of paths) backends.push(ok(await scene.client.get(`${url}${path}`)));
      return backends;
    };
    await deciding(scene, "scheduler");
    const [first, second] = [await ask(scene.urls[0] as string), await ask(scene.urls[1] as string)];
    expect(new Set(first).size).toBeGreaterThan(2);
    expect(second).toEqual(first);
    for (const scheduler of scene.cluster.schedulers) scene.cluster.kill(scheduler);
    await Promise.all(scene.urls.map((url) => scene.client.get(url)));
    await deciding(scene, "fallback");
    for (const url of scene.urls) expect(await ask(url)).toEqual(first);
  });
});

describe("session affinity", () => {
  it("is honoured by every gateway, until the backend drains; then the session moves", async () => {
    const scene = await open({ weights: [1, 1, 1], gateways: 3, pool: { affinity: {} } });
    const [first, ...others] = scene.urls as [string, ...string[]];
    const begun = await waitFor(
      async () => {
        const answer = await scene.client.get(first);
        return answer.setCookies.length > 0 ? answer : null;
      },
      { timeoutMs: 10_000, what: "a session" },
    );
    const backend = ok(begun);
    const cookie = (begun.setCookies[0] as string).split(";", 1)[0] as string;
    expect(cookie).toContain(`evenkeel=${backend}.`);
    for (let i = 0; i < 30; i += 1) {
      const answer = await scene.client.get(scene.urls[i % 3] as string, { cookie });
      expect(ok(answer)).toBe(backend);
      expect(answer.setCookies).toEqual([]);
    }
    const drained = await fetch(
      `${scene.cluster.schedulers[0]?.url}/v1/pools/${POOL}/backends/${backend}/drain`,
      { method: "POST" },
    );
    expect(drained.status).toBe(200);
    for (const url of others) {
      const moved = await scene.client.get(url, { cookie });
      expect(ok(moved)).not.toBe(backend);
      expect(moved.setCookies[0]).toContain(`evenkeel=${moved.backend}.`);
    }
  });
});

describe("the policy `geo`", () => {
  it("prefers the gateway's zone, believes a trusted proxy more, and spills when there is no room", async () => {
    const scene = await open({
      weights: [1, 1, 1],
      delayMs: 400,
      env: { EVENKEEL_ZONE: "us" },
      members: [{ zone: "eu" }, { zone: "us" }, { zone: "asia" }],
      pool: { policy: "geo", geo: { spillAt: 4 } },
      document: {
        geography: {
          zones: [
            { name: "eu", latitude: 50, longitude: 8 },
            { name: "us", latitude: 39, longitude: -77 },
            { name: "asia", latitude: 1, longitude: 104 },
          ],
          clients: { header: "x-zone" },
        },
        trustedProxies: LOOPBACK,
      },
    });
    await deciding(scene, "scheduler");
    const askAll = (count: number, headers = {}) =>
      Promise.all(
        Array.from({ length: count }, async (_, i) =>
          ok(await scene.client.get(scene.urls[i % 2] as string, headers)),
        ),
      );
    expect(new Set(await askAll(4))).toEqual(new Set(["b2"]));
    expect(new Set(await askAll(4, { "x-zone": "asia" }))).toEqual(new Set(["b3"]));
    const counts = new Map<string, number>();
    for (const backend of await askAll(10)) counts.set(backend, (counts.get(backend) ?? 0) + 1);
    expect(counts.get("b2")).toBe(4);
    expect(counts.get("b1")).toBe(4); // nearer to us than asia is
    expect(counts.get("b3")).toBe(2);
  });
});

/** Backends in this process, that report what the test says. */
function reporting(load: Record<string, number>) {
  return async (id: string): Promise<TestBackend> => {
    const server = createServer((_, response) => {
      response.setHeader("endpoint-load-metrics", `TEXT named_metrics.queue=${load[id]}`);
      response.end(id);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const stop = async () => {
      server.closeAllConnections();
      server.close();
    };
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return { id, url, pid: process.pid, kill: stop, restart: () => Promise.reject(), stop };
  };
}

describe("the policy `criteria`", () => {
  it("follows a metric that the backends report with their answers", async () => {
    const load: Record<string, number> = { b1: 1, b2: 1, b3: 1 };
    const scene = await open({
      weights: [1, 1, 1],
      startBackend: reporting(load),
      pool: {
        policy: "criteria",
        criteria: [{ name: "named_metrics.queue", weight: 1 }],
        reports: { header: ["named_metrics.queue"] },
        slowStart: { windowMs: 0 },
      },
    });
    await deciding(scene, "scheduler");
    const lastTen: string[] = [];
    const follows = (backend: string) =>
      waitFor(
        async () => {
          for (const url of scene.urls) {
            const answer = await scene.client.get(url);
            expect(ok(answer)).toBe(answer.body);
            lastTen.push(answer.body);
          }
          return lastTen.splice(0, lastTen.length - 10).length > 0 && lastTen.every((id) => id === backend);
        },
        { timeoutMs: 15_000, what: `requests to follow to ${backend}` },
      );
    for (const least of ["b2", "b3"]) {
      for (const id of Object.keys(load)) load[id] = id === least ? 0 : 5;
      await follows(least);
    }
  });
});

describe("a tier of backups", () => {
  it("takes over when the first tier is dead, and steps back when that returns", async () => {
    const scene = await open({
      weights: [1, 1, 1],
      members: [{}, {}, { priority: 1 }],
      pool: { slowStart: { windowMs: 0 } },
    });
    await deciding(scene, "scheduler");
    const ask = async () => {
      const answers = [];
      for (let i = 0; i < 10; i += 1) answers.push(await scene.client.get(scene.urls[i % 2] as string));
      return answers;
    };
    const servedBy = async (...ids: string[]) => {
      const answers = await ask();
      return answers.every(({ status, backend }) => status === 200 && ids.includes(backend as string));
    };
    expect((await ask()).map(ok)).not.toContain("b3");
    const [b1, b2] = scene.backends as [TestBackend, TestBackend];
    await Promise.all([b1.kill(), b2.kill()]);
    await waitFor(() => servedBy("b3"), { timeoutMs: 10_000, what: "the backup to take over" });
    await Promise.all([b1.restart(), b2.restart()]);
    await waitFor(() => servedBy("b1", "b2"), { timeoutMs: 15_000, what: "the first tier to be back" });
  });
});

describe("a live pool", () => {
  const HELD = 24;
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene({
      weights: [1, 2, 3],
      delayMs: 12_000,
      gateways: 3,
      schedulers: 2,
      monitors: 1,
      redisUrl: inject("redisUrl"),
      members: ["eu", "us", "us"].map((zone) => ({ zone, maxInflight: HELD })),
      document: {
        geography: {
          zones: [{ name: "eu" }, { name: "us" }],
          distances: [{ between: ["eu", "us"], distance: 90 }],
        },
      },
    });
  });
  afterAll(() => scene?.end());

  it("loses no count when its policy is switched, through all of them", async () => {
    const api = `${scene.cluster.schedulers[0]?.url}/v1`;
    const { document } = (await (await fetch(`${api}/config`)).json()) as { document: ConfigDocument };
    const [pool] = document.pools;
    const answers: Promise<Answer>[] = [];
    const openOne = () => answers.push(scene.client.get(scene.urls[answers.length % 3] as string));
    const countsAre = (n: number) =>
      waitFor(
        async () => {
          const { backends, rows } = await scene.pool();
          const counted = Object.fromEntries(
            backends.filter(({ inflight }) => inflight > 0).map(({ id, inflight }) => [id, inflight]),
          );
          const held = Object.values(await scene.views()).map((view) => total(view.held));
          expect(sumRows(rows)).toEqual(counted);
          return total(counted) === n && held.reduce((sum, one) => sum + one, 0) === n;
        },
        { timeoutMs: 4_000, what: `${n} in flight` },
      );
    for (let i = 0; i < HELD; i += 1) openOne();
    await countsAre(HELD);
    for (const policy of POLICIES) {
      const criteria = policy === "criteria" ? { criteria: [{ name: "connections", weight: 1 }] } : {};
      const body = JSON.stringify({ ...pool, policy, ...criteria });
      const headers = { "content-type": "application/json" };
      const put = await fetch(`${api}/pools/${POOL}`, { method: "PUT", body, headers });
      expect(put.status, await put.text()).toBe(200);
      await waitFor(async () => (await scene.pool()).policy === policy, {
        timeoutMs: 4_000,
        what: `the policy to be ${policy}`,
      });
      openOne();
      await countsAre(answers.length);
    }
    expect((await Promise.all(answers)).map(ok)).toHaveLength(HELD + POLICIES.length);
    await waitFor(async () => total(await inflightOf(scene)) === 0, {
      timeoutMs: 4_000,
      what: "no count left",
    });
    expect((await scene.pool()).rows).toEqual(
      Object.fromEntries(Object.keys((await scene.pool()).rows).map((id) => [id, {}])),
    );
  });
});
