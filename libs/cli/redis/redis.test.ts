import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { freePort } from "../supervisor/ports.ts";
import { dockerAnswers } from "./docker.ts";
import { findExecutable, findRedisServer } from "./find.ts";
import { isNewEnough, probeRedis } from "./probe.ts";
import { startRedisServer } from "./server.ts";

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "evenkeel-find-"));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

async function executable(name: string, script: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return path;
}

test.each([
  ["6.2.14", false],
  ["7.0.15", true],
  ["8.0.1", true],
  ["10.0.0", true],
  ["", false],
])("Redis %j is new enough: %s", (version, enough) => {
  expect(isNewEnough(version)).toBe(enough);
});

test("finds a server on PATH that is new enough", async () => {
  const path = await executable("redis-server", "echo Redis server v=7.2.4 sha=0 bits=64");
  expect(await findRedisServer({ PATH: directory }, () => {})).toBe(path);
});

test("passes over a server that is too old, and says so", async () => {
  const path = await executable("redis-server", "echo Redis server v=6.0.16 sha=0 bits=64");
  const valkey = await executable("valkey-server", "echo Valkey server v=8.0.1 sha=0 bits=64");
  const said: string[] = [];
  expect(await findRedisServer({ PATH: directory }, (line) => said.push(line))).toBe(valkey);
  expect(said).toEqual([expect.stringContaining(`${path} is version 6.0.16, too old`)]);
});

test("finds nothing where nothing can be run", async () => {
  await writeFile(join(directory, "no-such-program"), "");
  expect(await findExecutable("no-such-program", { PATH: directory })).toBeNull();
});

test("a Redis that does not answer is an error that names it without its password", async () => {
  const url = `redis://user:secret@127.0.0.1:${await freePort()}`;
  const asked = probeRedis(url, { timeoutMs: 200 });
  await expect(asked).rejects.toThrow(/no Redis at redis:\/\/\*\*\*@127\.0\.0\.1:\d+: .*ECONNREFUSED/);
  await expect(asked).rejects.not.toThrow("secret");
});

test("something that is no Redis is told as such, at once", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await expect(probeRedis(url, { timeoutMs: 60_000 })).rejects.toThrow(
    `what listens at ${url} does not speak Redis`,
  );
  server.close();
});

test("waiting for a Redis ends when whoever started it knows that it is gone", async () => {
  const url = `redis://127.0.0.1:${await freePort()}`;
  await expect(probeRedis(url, { timeoutMs: 60_000, gone: () => true })).rejects.toThrow("no Redis at");
});

test("a server that ends at once is reported, not waited for", async () => {
  const path = await executable("redis-server", "exit 1");
  await expect(startRedisServer(path)).rejects.toThrow("no Redis at");
});

test("a Docker Engine is there when its socket answers", async () => {
  const socket = join(directory, "docker.sock");
  const env = { DOCKER_HOST: `unix://${socket}` };
  expect(await dockerAnswers(env)).toBe(false);
  const engine: Server = createServer((_, response) => response.end("OK"));
  await new Promise<void>((resolve) => engine.listen(socket, resolve));
  expect(await dockerAnswers(env)).toBe(true);
  engine.close();
});
