// docker-compose.yml for real: built, started, and hurt the way machines hurt it, with clients asking all the time.
// The tests build on one stack, one after the other; each leaves it whole again.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type Container,
  compose,
  containerOf,
  containersOf,
  docker,
  hasImage,
  requireEngine,
  TOKEN,
} from "./stack.ts";
import { type Answer, countByBackend, failuresIn, sample, startTraffic } from "./traffic.ts";
import { until } from "./until.ts";

const BACKENDS = ["backend-1", "backend-2", "backend-3"];
const OWN_SERVICES = ["scheduler", "health-monitor", "gateway", ...BACKENDS];
const CLIENTS_PER_GATEWAY = 3;
const UP_TIMEOUT_MS = 480_000;
const DOWN_TIMEOUT_MS = 120_000;
/** Of containers: start, health checks, rise. */
const RECOVERY_MS = 60_000;

let haveEngine = false;

beforeAll(async () => {
  await requireEngine();
  haveEngine = true;
  await remove();
  await compose("up", "--build", "--detach", "--scale", "gateway=3");
  await allHealthy();
}, UP_TIMEOUT_MS);

afterAll(async () => {
  if (haveEngine) await remove();
}, DOWN_TIMEOUT_MS);

beforeEach(({ onTestFailed }) => {
  onTestFailed(async () => console.error(await compose("logs", "--no-color", "--tail", "30")));
});

describe("the stack", () => {
  test("has the replicas asked for, each gateway on a port of its own, published to this machine only", async () => {
    const counts = await Promise.all(
      ["redis", "scheduler", "health-monitor", "gateway"].map(async (s) => (await containersOf(s)).length),
    );
    expect(counts).toEqual([1, 2, 2, 3]);
    const urls = await urlsOf("gateway");
    expect(new Set(urls).size).toBe(3);
    for (const url of urls) expect(url).toMatch(/^http:\/\/127\.0\.0\.1:280/);
  });

  test("runs as an ordinary user on a read-only image without development dependencies", async () => {
    for (const service of OWN_SERVICES) {
      const { id } = await containerOf(service);
      expect((await docker("exec", id, "id", "-u")).trim(), service).toBe("1000");
    }
    const { id } = await containerOf("gateway");
    await expect(docker("exec", id, "touch", "/app/x")).rejects.toThrow(/Read-only/);
    const packages = (await docker("exec", id, "ls", "node_modules", "node_modules/@evenkeel")).split("\n");
    expect(packages).toContain("undici");
    for (const name of ["node", "vitest", "typescript", "testcontainers"])
      expect(packages).not.toContain(name);
  });

  test("refuses a change that shows no token, and shows its pools", async () => {
    const [scheduler] = await urlsOf("scheduler");
    const change = { method: "POST" };
    const refused = await fetch(`${scheduler}/v1/pools/demo/backends/backend-1/drain`, change);
    expect(refused.status).toBe(401);
    expect((await poolBackends()).map(({ id }) => id).sort()).toEqual(BACKENDS);
  });
});

describe("traffic", () => {
  test("reaches every backend through every gateway, and the fastest most", async () => {
    for (const gateway of await urlsOf("gateway")) {
      const answers = await sample(gateway, 120, 6);
      expect(failuresIn(answers)).toEqual({});
      const counts = countByBackend(answers);
      expect(Object.keys(counts).sort()).toEqual(BACKENDS);
      expect(counts["backend-1"]).toBeGreaterThan(counts["backend-3"] as number);
    }
  });

  test("loses no answer when a backend container is killed, and uses it again when it is back", async () => {
    const victim = await containerOf("backend-2");
    const answers = await during(await urlsOf("gateway"), async (soFar) => {
      await docker("kill", victim.id);
      await until("the killed backend is out", async () => !(await isReady("backend-2")), RECOVERY_MS);
      const outAt = soFar.length;
      await until("others serve", () => soFar.length > outAt + 200, RECOVERY_MS);
      expect(countByBackend(soFar.slice(outAt + 50))).not.toHaveProperty("backend-2");
      await docker("start", victim.id);
      const startedAt = soFar.length;
      const serves = () => "backend-2" in countByBackend(soFar.slice(startedAt));
      await until("the backend serves again", serves, RECOVERY_MS);
    });
    expect(failuresIn(answers)).toEqual({});
  });

  test("of the other gateways is not disturbed when a gateway container is killed", async () => {
    const [victim, ...others] = await containersOf("gateway");
    const answers = await during(others.map(urlOf), async (soFar) => {
      await docker("kill", (victim as Container).id);
      await until("the others go on", () => soFar.length > 500, RECOVERY_MS);
    });
    expect(failuresIn(answers)).toEqual({});
    await until("nothing is counted for the dead gateway", allIdle, RECOVERY_MS);
    await docker("start", (victim as Container).id);
    await allHealthy();
    const back = await containersOf("gateway");
    expect(failuresIn(await sample(urlOf(back[0] as Container), 20, 2))).toEqual({});
  });

  test("loses no answer while every scheduler container is dead", async () => {
    const schedulers = await containersOf("scheduler");
    const answers = await during(await urlsOf("gateway"), async (soFar) => {
      await docker("kill", ...schedulers.map(({ id }) => id));
      const killedAt = soFar.length;
      await until("gateways go on alone", () => soFar.length > killedAt + 500, RECOVERY_MS);
      await docker("start", ...schedulers.map(({ id }) => id));
      await allHealthy();
    });
    expect(failuresIn(answers)).toEqual({});
    await until("every count is 0", allIdle, RECOVERY_MS);
  });

  test("loses no answer while Redis restarts, and what was changed at run time survives on the volume", async () => {
    await change("PUT", "backend-3", { id: "backend-3", url: "http://backend-3:9000", weight: 3 });
    await change("POST", "backend-3/drain");
    const before = await appliedConfig();
    expect(before).toContain('"weight":3');
    const answers = await during(await urlsOf("gateway"), async () => {
      await compose("restart", "redis");
      await allHealthy();
    });
    expect(failuresIn(answers)).toEqual({});
    // A configuration that Redis lost would be applied again, but under a higher version.
    expect(await appliedConfig()).toBe(before);
    await until("the schedulers answer", async () => (await poolBackends()).length === 3, RECOVERY_MS);
    expect(await poolBackends()).toContainEqual(
      expect.objectContaining({ id: "backend-3", mode: "draining" }),
    );
    await change("POST", "backend-3/activate");
  });
});

test("the k6 smoke script passes inside the stack", async ({ skip }) => {
  skip(!(await hasImage("grafana/k6")), "the image grafana/k6 is not here: `docker pull grafana/k6` first");
  const args = ["run", "--rm", "-T", "-e", "DURATION=5s", "k6", "run", "--quiet", "/load/k6/smoke.js"];
  await expect(compose("--profile", "load", ...args)).resolves.toContain("http_req_failed");
});

/** Runs `work` while clients ask; the answers are all there are, from the first to the last. */
async function during(
  gateways: string[],
  work: (soFar: readonly Answer[]) => Promise<void>,
): Promise<readonly Answer[]> {
  const traffic = startTraffic(gateways, CLIENTS_PER_GATEWAY);
  try {
    await until("the first answers are in", () => traffic.answers.length > 50, RECOVERY_MS);
    await work(traffic.answers);
  } finally {
    await traffic.stop();
  }
  return traffic.answers;
}

const remove = () => compose("down", "--volumes", "--remove-orphans", "--rmi", "local");

const allHealthy = () =>
  until(
    "every container is healthy",
    async () => (await containersOf()).every(({ health, running }) => running && health === "healthy"),
    RECOVERY_MS * 2,
  );

function urlOf({ name, url }: Container): string {
  if (url === null) throw new Error(`${name} publishes no port`);
  return url;
}

const urlsOf = async (service: string) => (await containersOf(service)).map(urlOf);

interface PoolBackend {
  id: string;
  ready: boolean;
  inflight: number;
}

async function poolBackends(): Promise<PoolBackend[]> {
  const [scheduler] = await urlsOf("scheduler");
  const response = await fetch(`${scheduler}/v1/pools/demo`, { headers: bearer });
  if (!response.ok) throw new Error(`GET /v1/pools/demo: ${response.status} ${await response.text()}`);
  return ((await response.json()) as { backends: PoolBackend[] }).backends;
}

const bearer = { authorization: `Bearer ${TOKEN}` };

const isReady = async (id: string) => (await poolBackends()).some((b) => b.id === id && b.ready);
const allIdle = async () => (await poolBackends()).every(({ inflight }) => inflight === 0);

async function change(method: string, path: string, body?: object): Promise<void> {
  const [scheduler] = await urlsOf("scheduler");
  const response = await fetch(`${scheduler}/v1/pools/demo/backends/${path}`, {
    method,
    headers: body ? { ...bearer, "content-type": "application/json" } : bearer,
    body: body ? JSON.stringify(body) : null,
  });
  expect(response.status, await response.text()).toBeLessThan(300);
}

async function appliedConfig(): Promise<string> {
  const { id } = await containerOf("redis");
  return docker("exec", id, "redis-cli", "HMGET", "evenkeel:config", "version", "document");
}
