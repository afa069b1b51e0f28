// The command line as a user types it, against a real cluster.
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { waitFor } from "../support/cluster.ts";
import { failures } from "../support/load.ts";
import { openScene, POOL, type Scene } from "../support/scene.ts";

const CLI = fileURLToPath(new URL("../../libs/cli/bin/evenkeel.js", import.meta.url));
const COMMAND_TIMEOUT_MS = 30_000;

interface Ended {
  code: number;
  out: string;
  err: string;
}

function evenkeel(directory: string, ...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { cwd: directory, timeout: COMMAND_TIMEOUT_MS };
    execFile(process.execPath, [CLI, ...args], options, (error, out, err) =>
      resolve({ code: error ? Number(error.code ?? 1) : 0, out, err }),
    );
  });
}

const BROKEN = `listeners:
  - { name: web, protocol: http, port: 8080 }
  - { name: other, protocol: http, port: 8080 }
routes:
  - { name: a, match: { path: /* }, proxy: dynamic, pool: nowhere }
pools:
  - name: shop
    polcy: round-robin
    backends:
      - { id: s1, url: "ftp://127.0.0.1:9001", weight: 0 }
`;

describe("the command line", () => {
  let scene: Scene;
  let directory: string;
  beforeAll(async () => {
    scene = await openScene({
      weights: [1, 1],
      gateways: 1,
      schedulers: 2,
      monitors: 1,
      redisUrl: inject("redisUrl"),
    });
    directory = scene.cluster.directory;
    await writeFile(join(directory, "broken.yaml"), BROKEN);
  });
  afterAll(() => scene?.end());

  it("checks a file: every fault with its line, exit code 1", async () => {
    const { code, out, err } = await evenkeel(directory, "check", "broken.yaml");
    const said = out + err;
    expect(code).toBe(1);
    for (const place of ["broken.yaml:3:", "broken.yaml:5:", "broken.yaml:8:", "broken.yaml:10:"]) {
      expect(said).toContain(place);
    }
    expect(said).toContain('did you mean "policy"');
    expect((await evenkeel(directory, "check", "config.json")).code).toBe(0);
  });

  it("applies nothing of a broken file, neither by apply nor by up", async () => {
    const before = (await scene.pool()).version;
    expect((await evenkeel(directory, "apply", "broken.yaml")).code).toBe(1);
    expect((await evenkeel(directory, "up", "--config", "broken.yaml")).code).toBe(1);
    const empty = await mkdtemp(join(tmpdir(), "evenkeel-e2e-"));
    expect((await evenkeel(empty, "up", "--config", "missing.yaml")).code).toBe(1);
    await rm(empty, { recursive: true });
    expect((await scene.pool()).version).toBe(before);
  });

  it("shows the cluster, for people and for programs", async () => {
    const people = await evenkeel(directory, "status");
    expect(people.code).toBe(0);
    for (const word of [POOL, "b1", "b2", "healthy", "gateway", "scheduler", "health-monitor"]) {
      expect(people.out).toContain(word);
    }
    const programs = JSON.parse((await evenkeel(directory, "status", "--json")).out);
    expect(JSON.stringify(programs)).toContain('"b1"');
  });

  it("drains a backend, so that it gets no more picks, and activates it again", async () => {
    expect((await evenkeel(directory, "drain", POOL, "b1")).code).toBe(0);
    await waitFor(async () => !(await scene.views())["gateway-1"]?.eligible.includes("b1"), {
      timeoutMs: 5_000,
      what: "the gateway to know",
    });
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => scene.client.get(scene.urls[0] as string)),
    );
    expect(failures(answers)).toEqual([]);
    expect(new Set(answers.map((answer) => answer.backend))).toEqual(new Set(["b2"]));
    expect((await evenkeel(directory, "activate", POOL, "b1")).code).toBe(0);
    await waitFor(async () => (await scene.client.get(scene.urls[0] as string)).backend === "b1", {
      timeoutMs: 5_000,
      what: "b1 to serve again",
    });
    expect((await evenkeel(directory, "drain", POOL, "nobody")).code).toBe(1);
  });

  it("applies a changed file to the running cluster: a new route and backend serve without a restart", async () => {
    const current = await scene.client.get(`${scene.cluster.schedulers[0]?.url}/v1/config`);
    const { document } = JSON.parse(current.body);
    document.routes.push({ name: "new", match: { path: "/new/*" }, proxy: "dynamic", pool: "fresh" });
    document.pools.push({ name: "fresh", backends: [{ id: "f1", url: scene.backends[1]?.url }] });
    await writeFile(join(directory, "next.json"), JSON.stringify(document));
    expect((await evenkeel(directory, "apply", "next.json")).code).toBe(0);
    await waitFor(async () => (await scene.client.get(`${scene.urls[0]}new/thing`)).backend === "f1", {
      timeoutMs: 5_000,
      what: "the new route to serve",
    });
  });

  it("keeps the scheduler running through malformed settles and changes, answering 4xx with the reason", async () => {
    const url = scene.cluster.schedulers[0]?.url;
    const ask = (method: string, path: string, body: string) =>
      fetch(`${url}${path}`, { method, body, headers: { "content-type": "application/json" } });
    const good = {
      gateway: "g",
      seq: 1,
      full: true,
      held: {},
      outcomes: {},
      wants: [],
      version: 0,
      refresh: false,
    };
    for (const [method, path, body] of [
      ["POST", `/v1/pools/${POOL}/settle`, "{"],
      ["POST", `/v1/pools/${POOL}/settle`, JSON.stringify({ ...good, held: { b1: -1 } })],
      ["POST", `/v1/pools/${POOL}/settle`, JSON.stringify({ ...good, seq: "1" })],
      ["POST", "/v1/pools/nowhere/settle", JSON.stringify(good)],
      ["PUT", `/v1/pools/${POOL}`, JSON.stringify({ backends: [{ id: "x", url: "http://a/path" }] })],
      ["PUT", "/v1/config", JSON.stringify({ listeners: [] })],
    ] as const) {
      const response = await ask(method, path, body);
      expect(response.status).toBeGreaterThanOrEqual(400);
      expect(response.status).toBeLessThan(500);
      expect(((await response.json()) as { error: string }).error).not.toBe("");
    }
    expect((await ask("POST", `/v1/pools/${POOL}/settle`, JSON.stringify(good))).status).toBe(200);
  });
});
