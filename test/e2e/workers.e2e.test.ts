// Several processes of one gateway: one replica to whoever asks, whatever happens to one of them.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import type { Rows } from "@evenkeel/core/ledger/ledger.ts";
import { afterEach, describe, expect, inject, it } from "vitest";
import { freePort } from "../../libs/cli/supervisor/ports.ts";
import { waitFor } from "../support/cluster.ts";
import { type Answer, alwaysOpen, failures } from "../support/load.ts";
import { openScene, POOL, type Scene, type SceneOptions, total } from "../support/scene.ts";

const OPEN = 60;
/** For a gateway that is told to stop; one whose first process is killed has none to give. */
const GRACE_MS = 6_000;

let scene: Scene | undefined;
afterEach(async () => {
  await scene?.end();
  scene = undefined;
});

const open = async (options: Partial<SceneOptions>): Promise<Scene> => {
  scene = await openScene({ weights: [1, 2, 3], gateways: 1, redisUrl: inject("redisUrl"), ...options });
  return scene;
};

/** Process ids of the gateway's workers that live, by their ids. */
function workersOf({ cluster }: Scene): Record<string, number> {
  const found: Record<string, number> = {};
  for (const line of cluster.log().split("\n")) {
    if (!line.includes('"worker started"')) continue;
    const { worker, pid } = JSON.parse(line) as { worker: string; pid: number };
    if (lives(pid)) found[worker] = pid;
  }
  return found;
}

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const ready = async ({ client, cluster }: Scene): Promise<boolean> =>
  (await client.get(`${cluster.gateways[0]?.adminUrl}/readyz`)).status === 200;

const requestsCounted = (one: Scene) =>
  one.counter("evenkeel_gateway_requests_total{", 'route="all"', 'code_class="2xx"');

/** Of the rows in the shared count, those of processes that hold something. */
const holders = async (one: Scene): Promise<string[]> =>
  Object.entries((await one.pool()).rows).flatMap(([id, row]) => (total(row) > 0 ? [id] : []));

/** Keeps `count` requests open, each over a connection of its own. */
function churn({ client, urls }: Scene, count: number) {
  const answers: Answer[] = [];
  let stopped = false;
  const all = Array.from({ length: count }, async () => {
    while (!stopped) answers.push(await client.get(urls[0] as string, { connection: "close" }));
  });
  const stop = async () => {
    stopped = true;
    await Promise.all(all);
    return answers;
  };
  return { answers, stop };
}

async function applyWorkers(one: Scene, workers: number): Promise<void> {
  const { cluster, client } = one;
  const api = cluster.schedulers[0]?.url ?? "";
  const { document } = JSON.parse((await client.get(`${api}/v1/config`)).body);
  const answer = await fetch(`${api}/v1/config`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...document, workers }),
  });
  if (!answer.ok) throw new Error(`PUT config: ${answer.status} ${await answer.text()}`);
}

describe("a gateway with three processes", () => {
  it("is one member that spreads connections over them, and adds up what they hold and have counted", async () => {
    const one = await open({ delayMs: 100, document: { workers: 3 } });
    expect(Object.keys(workersOf(one))).toHaveLength(2);
    expect(await ready(one)).toBe(true);
    const load = alwaysOpen(one.client, one.urls, OPEN);
    const rows = await waitFor(
      async () => {
        const held = await holders(one);
        return held.length === 3 ? held : null;
      },
      { timeoutMs: 10_000, what: "all three processes to hold something" },
    );
    const gateway = rows.toSorted((a, b) => a.length - b.length)[0] as string;
    for (const row of rows) expect(row.startsWith(gateway)).toBe(true);
    await waitFor(async () => Math.abs(total((await one.views())["gateway-1"]?.held ?? {}) - OPEN) <= 5, {
      timeoutMs: 5_000,
      what: "the admin port to show what all hold",
    });
    const { members } = JSON.parse(
      (await one.client.get(`${one.cluster.schedulers[0]?.url}/v1/members`)).body,
    ) as { members: { role: string; id: string }[] };
    expect(members.filter(({ role }) => role === "gateway").map(({ id }) => id)).toEqual([gateway]);

    const answers = await load.stop();
    expect(failures(answers)).toEqual([]);
    expect(await requestsCounted(one)).toBe(answers.length);
    expect(await one.counter("evenkeel_gateway_workers ")).toBe(3);
    await waitFor(async () => (await holders(one)).length === 0, { timeoutMs: 2_000, what: "counts of 0" });
  });

  it("that loses one goes on, forgets its counts within 4 s, and starts another", async () => {
    const one = await open({ delayMs: 100, document: { workers: 3 } });
    const load = alwaysOpen(one.client, one.urls, OPEN);
    await waitFor(async () => (await holders(one)).length === 3, {
      timeoutMs: 10_000,
      what: "three holders",
    });
    const counted = await requestsCounted(one);
    const victim = Object.keys(workersOf(one))[0] as string;
    const killedAtMs = Date.now();
    process.kill(workersOf(one)[victim] as number, "SIGKILL");
    await waitFor(async () => !(await ready(one)), { timeoutMs: 2_000, what: "the gateway to be not ready" });
    await waitFor(async () => (await one.pool()).rows[victim] === undefined, {
      timeoutMs: 4_000,
      what: "its row to leave",
    });
    const goneAtMs = Date.now();
    await waitFor(() => ready(one), { timeoutMs: 10_000, what: "another to be ready" });
    expect(Object.keys(workersOf(one))).toHaveLength(2);
    expect(Object.keys(workersOf(one))).not.toContain(victim);
    const more = alwaysOpen(one.client, one.urls, OPEN);
    await waitFor(async () => (await holders(one)).length === 3, { timeoutMs: 10_000, what: "it to serve" });
    const answers = [...(await load.stop()), ...(await more.stop())];
    console.log("row gone after", goneAtMs - killedAtMs, "ms;", failures(answers).length, "cut off");

    // Those that it was serving broke with it; their connections began before it died.
    for (const answer of failures(answers)) expect(answer).toMatchObject({ status: 0 });
    const afterwards = answers.filter(({ startedAtMs }) => startedAtMs > killedAtMs + 100);
    expect(afterwards.length).toBeGreaterThan(OPEN);
    expect(failures(afterwards)).toEqual([]);
    expect(await one.counter("evenkeel_gateway_worker_restarts_total")).toBe(1);
    expect(await requestsCounted(one)).toBeGreaterThan(counted);
    await waitFor(async () => (await holders(one)).length === 0, { timeoutMs: 2_000, what: "counts of 0" });
  });
});

describe("listeners of every protocol", () => {
  it("are served by all processes, also on a port that the system chose; datagrams by the first alone", async () => {
    const echo = createServer((socket) => socket.on("error", () => {}).pipe(socket)).listen(0, "127.0.0.1");
    await once(echo, "listening");
    const datagrams = createSocket("udp4");
    datagrams.on("message", (message, { port, address }) => datagrams.send(message, port, address));
    datagrams.bind(0, "127.0.0.1");
    await once(datagrams, "listening");
    const [tcpPort, udpPort] = [await freePort(), await freePort()];
    const address = "127.0.0.1";
    const one = await open({
      env: { EVENKEEL_DRAIN_DEADLINE_MS: "500" }, // the session of datagrams ends only by its idle time
      document: {
        workers: 3,
        listeners: [
          { name: "web", protocol: "http", port: 0, address },
          { name: "raw", protocol: "tcp", port: tcpPort, address },
          { name: "grams", protocol: "udp", port: udpPort, address },
        ],
        routes: [
          { name: "all", match: { path: "/*" }, proxy: "dynamic", pool: POOL },
          { name: "raw", match: { listener: "raw" }, proxy: "dynamic", pool: "raw" },
          { name: "grams", match: { listener: "grams" }, proxy: "dynamic", pool: "grams" },
        ],
        pools: [
          { name: POOL, backends: [{ id: "b1", url: "http://127.0.0.1:1" }] },
          {
            name: "raw",
            backends: [{ id: "e1", url: `tcp://127.0.0.1:${(echo.address() as AddressInfo).port}` }],
          },
          { name: "grams", backends: [{ id: "e1", url: `udp://127.0.0.1:${datagrams.address().port}` }] },
        ],
      },
    });
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => one.client.get(one.urls[0] as string)),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([502])); // nobody is at its backend
    expect(await one.counter("evenkeel_gateway_requests_total{", 'route="all"')).toBe(30);

    const sockets = Array.from({ length: 30 }, () =>
      connect(tcpPort, address)
        .setEncoding("utf8")
        .on("error", () => {}),
    );
    for (const socket of sockets) socket.write("hello");
    for (const socket of sockets) expect((await once(socket, "data"))[0]).toBe("hello");
    expect(await one.counter("evenkeel_gateway_streams{", 'listener="raw"')).toBe(30);
    await waitFor(
      async () => {
        const { body } = await one.client.get(`${one.cluster.schedulers[0]?.url}/v1/pools/raw?rows=true`);
        const counts = Object.values((JSON.parse(body) as { rows: Rows }).rows).map(total);
        return counts.length === 3 && counts.every((n) => n > 0) && counts.reduce((a, b) => a + b) === 30;
      },
      { timeoutMs: 5_000, what: "each process to count its part of the streams" },
    );
    for (const socket of sockets) socket.destroy();

    const asking = createSocket("udp4");
    asking.send("hello", udpPort, address);
    expect(String((await once(asking, "message"))[0])).toBe("hello");
    asking.close();
    datagrams.close();
    echo.close();
  });
});

describe("the number of processes", () => {
  it("changes from one to three, to one and to two without a failed request, and every request stays counted", async () => {
    const one = await open({ delayMs: 20 });
    const load = alwaysOpen(one.client, one.urls, OPEN);
    await waitFor(() => load.answers.length > 500, { timeoutMs: 10_000, what: "500 answers" });
    expect(workersOf(one)).toEqual({});
    const more = churn(one, 20);
    await applyWorkers(one, 3);
    await waitFor(async () => Object.keys(workersOf(one)).length === 2 && (await ready(one)), {
      timeoutMs: 15_000,
      what: "two more processes",
    });
    // Connections that are open stay where they are: new ones find the new processes.
    await waitFor(async () => (await holders(one)).length === 3, {
      timeoutMs: 10_000,
      what: "three holders",
    });
    await applyWorkers(one, 1);
    await waitFor(() => Object.keys(workersOf(one)).length === 0, {
      timeoutMs: 15_000,
      what: "them to leave",
    });
    const before = load.answers.length;
    await waitFor(() => load.answers.length > before + 500, { timeoutMs: 10_000, what: "500 more answers" });
    const answers = [...(await load.stop()), ...(await more.stop())];
    console.log(answers.length, "answers,", more.answers.length, "of them over connections of their own");
    expect(failures(answers)).toEqual([]);
    expect(await ready(one)).toBe(true);
    expect(await requestsCounted(one)).toBe(answers.length);
  });

  it("may change together with the listener's address, on the same port", async () => {
    const one = await open({ document: { workers: 2 } });
    const { cluster, client } = one;
    const api = cluster.schedulers[0]?.url ?? "";
    const { document } = JSON.parse((await client.get(`${api}/v1/config`)).body);
    document.listeners[0].address = "0.0.0.0";
    await fetch(`${api}/v1/config`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...document, workers: 3 }),
    });
    await waitFor(async () => Object.keys(workersOf(one)).length === 2 && (await ready(one)), {
      timeoutMs: 10_000,
      what: "three processes on the new address",
    });
    expect(cluster.log()).not.toContain("listener not as configured");
    expect((await client.get(one.urls[0] as string)).status).toBe(200);
  });
});

describe("the end of a gateway with three processes", () => {
  it("by SIGTERM drains all: every request that was accepted is answered, and no process is left", async () => {
    const one = await open({ delayMs: 500, document: { workers: 3 } });
    const pids = Object.values(workersOf(one));
    const asked = Array.from({ length: OPEN }, () => one.client.get(one.urls[0] as string));
    await waitFor(async () => total((await one.views())["gateway-1"]?.held ?? {}) === OPEN, {
      timeoutMs: 5_000,
      what: "all requests to be in flight",
    });
    const stopped = one.cluster.stop();
    expect(failures(await Promise.all(asked))).toEqual([]);
    expect(await stopped).toBe(0);
    expect(pids.filter(lives)).toEqual([]);
  });

  it("by SIGKILL takes its workers along, and leaves the ports to the next one at once", async () => {
    const one = await open({ document: { workers: 3 }, env: { EVENKEEL_DRAIN_GRACE_MS: String(GRACE_MS) } });
    const pids = Object.values(workersOf(one));
    expect(pids).toHaveLength(2);
    const [killed] = one.cluster.gateways;
    if (!killed) throw new Error("no gateway");
    const killedAtMs = Date.now();
    one.cluster.kill(killed);
    await waitFor(() => one.cluster.gateways[0]?.pid !== killed.pid && ready(one), {
      timeoutMs: GRACE_MS - 1_000,
      what: "the next one to be ready",
    });
    console.log("the next one was ready after", Date.now() - killedAtMs, "ms");
    expect((await one.client.get(one.urls[0] as string)).status).toBe(200);
    await waitFor(() => pids.filter(lives).length === 0, {
      timeoutMs: GRACE_MS + 5_000,
      what: "the workers to leave",
    });
  });
});
