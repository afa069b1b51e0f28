// `evenkeel register` as a process, with schedulers that are processes.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished, vi } from "vitest";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
const SCHEDULER = fileURLToPath(new URL("../../services/scheduler/main.ts", import.meta.url));
const BOUND = { timeout: 20_000, interval: 25 };
const CONFIG = {
  listeners: [{ name: "web", protocol: "http", port: 8080 }],
  routes: [],
  pools: [
    {
      name: "shop",
      backends: [],
      discovery: { registration: { allow: ["127.0.0.0/8", "10.0.0.0/8"], ttlMs: 3_000 } },
    },
  ],
};

interface Running {
  child: ChildProcess;
  /** What it has said so far. */
  text(): string;
  ended: Promise<number | string | null>;
}

let directory: string;
let prefix: string;
let schedulers: { url: string; running: Running }[];

function run(script: string, args: string[], env: NodeJS.ProcessEnv): Running {
  const child = spawn(process.execPath, [script, ...args], {
    cwd: directory,
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk) => (text += chunk));
  const ended = new Promise<number | string | null>((resolve) =>
    child.once("exit", (code, signal) => resolve(signal ?? code)),
  );
  return { child, text: () => text, ended };
}

async function startScheduler(): Promise<{ url: string; running: Running }> {
  const running = run(SCHEDULER, [], {
    EVENKEEL_REDIS_URL: inject("redisUrl"),
    EVENKEEL_PREFIX: prefix,
    EVENKEEL_CONFIG: join(directory, "config.json"),
    EVENKEEL_TOKEN: "operator",
    EVENKEEL_REGISTER_TOKEN: "backend",
  });
  await vi.waitFor(() => expect(running.text()).toContain("configuration reconciled"), BOUND);
  return { url: /"adminUrl":"([^"]+)"/.exec(running.text())?.[1] as string, running };
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "evenkeel-register-"));
  prefix = `register-${process.pid}`;
  await writeFile(join(directory, "config.json"), JSON.stringify(CONFIG));
  schedulers = [await startScheduler(), await startScheduler()];
});

afterAll(async () => {
  for (const { running } of schedulers) running.child.kill("SIGKILL");
  await rm(directory, { recursive: true, force: true });
});

/** The command with the API's addresses and its token. */
function register(args: string[], env: NodeJS.ProcessEnv = { EVENKEEL_REGISTER_TOKEN: "backend" }): Running {
  const api = schedulers.map(({ url }) => url).join(",");
  const running = run(MAIN, ["register", "--pool", "shop", "--api", api, ...args], env);
  onTestFinished(() => void running.child.kill("SIGKILL"));
  return running;
}

interface Shown {
  id: string;
  url: string;
  renewedMs: number;
}

async function registered(): Promise<Shown[]> {
  const alive = schedulers.find(({ running }) => running.child.exitCode === null && !running.child.killed);
  const response = await fetch(`${alive?.url}/v1/pools/shop/registrations`);
  return ((await response.json()) as { registrations: Shown[] }).registrations;
}

const ids = async () => (await registered()).map(({ id }) => id);

describe("evenkeel register", () => {
  it("registers this machine's address towards the schedulers, renews it, and leaves when told to", async () => {
    const { child, text, ended } = register(["--url", "http://:9100", "--id", "a", "--ttl", "1000"]);
    await expect.poll(ids, BOUND).toEqual(["a"]);
    const [first] = await registered();
    expect(first).toMatchObject({ id: "a", url: "http://127.0.0.1:9100", ttlMs: 1_000 });
    // Past its time: it was renewed, or it would be gone.
    const renewed = async () => ((await registered())[0]?.renewedMs ?? 0) - (first?.renewedMs ?? 0);
    await expect.poll(renewed, BOUND).toBeGreaterThan(1_500);
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(await ids()).toEqual([]);
    expect(text()).toBe("registered a in pool shop, for 1000 ms at a time\n");
  });

  it("takes host name and port for an id", async () => {
    const { child, ended } = register(["--url", "http://10.0.0.5:9100", "--weight", "3", "--zone", "eu"]);
    await expect.poll(registered, BOUND).toHaveLength(1);
    const [one] = await registered();
    expect(one).toMatchObject({ id: expect.stringMatching(/.-9100$/), weight: 3, zone: "eu" });
    child.kill("SIGINT");
    expect(await ended).toBe(0);
  });

  it("says why it is refused, and ends", async () => {
    const metadata = register(["--url", "http://169.254.169.254:80", "--id", "x"]);
    expect(await metadata.ended).toBe(1);
    expect(metadata.text()).toMatch(/^evenkeel: refused: .*169\.254\.169\.254/);
    const token = register(["--url", "http://10.0.0.5:80", "--id", "x"], {});
    expect(await token.ended).toBe(1);
    expect(token.text()).toMatch(/refused: .*token/);
    const name = register(["--url", "http://shop.internal:80", "--id", "x"]);
    expect(await name.ended).toBe(1);
    expect(name.text()).toMatch(/"shop\.internal"/);
  });

  it("runs a command, leaves before it is stopped, and ends with its exit code", async () => {
    const script = `
      process.on("SIGTERM", () => { console.log("stopped at", Date.now()); process.exit(7); });
      process.on("SIGUSR2", () => console.log("reloaded"));
      console.log("serving", process.argv[1], process.env.EVENKEEL_REGISTER_TOKEN ?? "no token");
      setInterval(() => {}, 1000);`;
    const command = ["--", process.execPath, "-e", script, "--", "--flag"];
    const { child, text, ended } = register([
      "--url",
      "http://10.0.0.6:80",
      "--id",
      "b",
      "--drain",
      "2000",
      ...command,
    ]);
    await expect.poll(ids, BOUND).toEqual(["b"]);
    await expect.poll(text, BOUND).toContain("serving --flag no token");
    child.kill("SIGUSR2");
    await expect.poll(text, BOUND).toContain("reloaded");
    child.kill("SIGTERM");
    await expect.poll(ids, BOUND).toEqual([]);
    const leftMs = Date.now();
    expect(text()).not.toContain("stopped");
    expect(await ended).toBe(7);
    const stoppedMs = Number(/stopped at (\d+)/.exec(text())?.[1]);
    expect(stoppedMs - leftMs).toBeGreaterThan(300);
  });

  it("leaves when the command ends by itself, and ends as it did", async () => {
    const script = 'process.stdin.on("data", () => {}); setTimeout(() => process.exit(3), 1500)';
    const own = register(["--url", "http://10.0.0.7:80", "--id", "c", "--", process.execPath, "-e", script]);
    await expect.poll(ids, BOUND).toEqual(["c"]);
    expect(await own.ended).toBe(3);
    expect(await ids()).toEqual([]);
    const killed = register(["--url", "http://10.0.0.7:80", "--id", "c", "--", "sh", "-c", "kill -9 $$"]);
    expect(await killed.ended).toBe(137);
    const missing = register(["--url", "http://10.0.0.7:80", "--id", "c", "--", "/no/such/command"]);
    expect(await missing.ended).toBe(1);
    expect(missing.text()).toContain("cannot run /no/such/command: ENOENT");
  });

  it("runs the command though registering is refused, and says why", async () => {
    const script = 'console.log("serving"); setTimeout(() => process.exit(0), 1000)';
    const { text, ended } = register([
      "--url",
      "http://192.168.0.1:80",
      "--id",
      "d",
      "--",
      process.execPath,
      "-e",
      script,
    ]);
    expect(await ended).toBe(0);
    expect(text()).toContain("serving");
    expect(text().match(/is not registered/g)).toHaveLength(1);
  });

  // Last: it takes a scheduler away.
  it("goes on with another scheduler when one dies", async () => {
    const { text } = register(["--url", "http://10.0.0.8:80", "--id", "e", "--ttl", "1500"]);
    await expect.poll(ids, BOUND).toEqual(["e"]);
    schedulers[0]?.running.child.kill("SIGKILL");
    await schedulers[0]?.running.ended;
    schedulers = schedulers.slice(1);
    const since = (await registered())[0]?.renewedMs ?? 0;
    const renewed = async () => {
      const [one] = await registered();
      expect(one?.id).toBe("e");
      return (one?.renewedMs ?? 0) - since;
    };
    await expect.poll(renewed, BOUND).toBeGreaterThan(2_000);
    expect(text()).toBe("registered e in pool shop, for 1500 ms at a time\n");
  });
});
