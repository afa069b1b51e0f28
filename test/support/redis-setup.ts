// One real Redis for a project's tests, handed to them as `inject("redisUrl")`: a given one, else a container where a
// Docker Engine answers, else whatever this machine has or may install. Tests keep apart by prefix.
import type { TestProject } from "vitest/node";
import { dockerAnswers, REDIS_IMAGE } from "../../libs/cli/redis/docker.ts";
import { provideRedis } from "../../libs/cli/redis/provide.ts";

declare module "vitest" {
  interface ProvidedContext {
    redisUrl: string;
  }
}

const CONTAINER_START_TIMEOUT_MS = 60_000;

interface TestRedis {
  url: string;
  stop(): Promise<unknown>;
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const redis = (await inContainer(process.env)) ?? (await provideRedis({ env: process.env, say }));
  project.provide("redisUrl", redis.url);
  return async () => {
    await redis.stop();
  };
}

const say = (line: string) => process.stderr.write(`[redis for tests] ${line}\n`);

async function inContainer(env: NodeJS.ProcessEnv): Promise<TestRedis | null> {
  if (env.EVENKEEL_REDIS_URL || !(await dockerAnswers(env))) return null;
  env.TESTCONTAINERS_RYUK_DISABLED ??= "true";
  try {
    const { GenericContainer, Wait } = await import("testcontainers");
    const container = await new GenericContainer(REDIS_IMAGE)
      .withCommand(["redis-server", "--save", "", "--appendonly", "no", "--protected-mode", "no"])
      .withExposedPorts(6379)
      .withWaitStrategy(Wait.forLogMessage("Ready to accept connections"))
      .withStartupTimeout(CONTAINER_START_TIMEOUT_MS)
      .start();
    // By address: on IPv6 the same port may belong to another container.
    const host = container.getHost() === "localhost" ? "127.0.0.1" : container.getHost();
    const url = `redis://${host}:${container.getMappedPort(6379)}`;
    return { url, stop: () => container.stop() };
  } catch (error) {
    say(`no container (${(error as Error).message}); using a Redis of this machine`);
    return null;
  }
}
