// Backends out of a real Docker Engine: containers serve the pool that their labels name for as long as they run.
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../../libs/cli/supervisor/ports.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { docker, requireEngine } from "./stack.ts";
import { until } from "./until.ts";

/** Already here for the stack of docker-compose.yml; any server would do. */
const IMAGE = "redis:7-bookworm";
const NAMES = ["evenkeel-found-1", "evenkeel-found-2"];
const POOL = "found";
/** Of a container to start, or of a backend to come or go. */
const PATIENCE_MS = 30_000;
const CONNECT_TIMEOUT_MS = 2_000;

let cluster: TestCluster | null = null;
let port = 0;

beforeAll(async () => {
  await requireEngine();
  await removeContainers();
  port = await freePort();
  cluster = await startCluster({
    config: {
      listeners: [{ name: "tcp", protocol: "tcp", port }],
      routes: [{ name: "tcp", match: { listener: "tcp" }, proxy: "dynamic", pool: POOL }],
      pools: [
        {
          name: POOL,
          backends: [],
          discovery: { docker: { intervalMs: 5_000 } },
          health: { protocol: "tcp", send: "PING\r\n", expect: "+PONG", intervalMs: 500, timeoutMs: 400 },
        },
      ],
    },
  });
}, 120_000);

afterAll(async () => {
  await cluster?.stop();
  await removeContainers();
}, 60_000);

test("a labelled container joins when it starts, is reached, and leaves when it stops", async () => {
  for (const name of NAMES) await startContainer(name);
  await until("both are in the pool", async () => sameSet(await readyBackends(), NAMES), PATIENCE_MS);
  await until("one of them answers through the gateway", async () => (await ping()) === "+PONG", PATIENCE_MS);

  await docker("stop", "--time", "1", NAMES[0] as string);
  await until("the other is alone", async () => sameSet(await readyBackends(), NAMES.slice(1)), PATIENCE_MS);
  expect(await ping()).toBe("+PONG");
});

test("the last container that stops stays in the pool, found unhealthy, and a new one takes its place", async () => {
  await docker("stop", "--time", "1", NAMES[1] as string);
  await until("it is unhealthy", async () => (await readyBackends()).length === 0, PATIENCE_MS);
  expect(await backends()).toEqual(NAMES.slice(1));

  await docker("start", NAMES[0] as string);
  await until(
    "the new one serves",
    async () => sameSet(await readyBackends(), NAMES.slice(0, 1)),
    PATIENCE_MS,
  );
});

const startContainer = (name: string) =>
  docker(
    ...["run", "--detach", "--rm=false", "--name", name],
    ...[
      "--label",
      `evenkeel.pool=${POOL}`,
      "--label",
      "evenkeel.port=6379",
      "--label",
      "evenkeel.scheme=tcp",
    ],
    ...[IMAGE, "redis-server", "--protected-mode", "no"],
  );

const removeContainers = () => docker("rm", "--force", ...NAMES).catch(() => {});

async function pool(): Promise<{ backends: { id: string; ready: boolean }[] }> {
  const answer = await fetch(`${cluster?.schedulers[0]?.url}/v1/pools/${POOL}`);
  return (await answer.json()) as Awaited<ReturnType<typeof pool>>;
}

const backends = async () => (await pool()).backends.map(({ id }) => id);
const readyBackends = async () => (await pool()).backends.filter(({ ready }) => ready).map(({ id }) => id);

const sameSet = (a: readonly string[], b: readonly string[]) =>
  JSON.stringify(a.toSorted()) === JSON.stringify(b.toSorted());

/** The first line that the backend behind the listener answers, "" when there is none. */
function ping(): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"));
    const done = (text: string) => {
      socket.destroy();
      resolve(text);
    };
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => done(""));
    socket.on("data", (chunk) => done(chunk.toString().trim()));
    socket.on("error", () => done(""));
    socket.on("close", () => done(""));
  });
}
