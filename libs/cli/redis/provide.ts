// Redis for whoever needs one on this machine, with nothing typed: given, installed, installable, or in a container,
// in this order; else an error that says exactly what to do.
import { dockerAnswers, startRedisContainer } from "./docker.ts";
import { findRedisServer } from "./find.ts";
import { installRedis } from "./install.ts";
import { probeRedis } from "./probe.ts";
import { type RedisServer, startRedisServer } from "./server.ts";

const GIVEN_TIMEOUT_MS = 5_000;

export interface ProvidedRedis {
  url: string;
  /** Null when it was not started here. */
  server: RedisServer | null;
  /** Stops it if it was started here. */
  stop(): Promise<void>;
  /** Starts it again on its own port after it died; null when that is not ours to do. */
  restart: (() => Promise<RedisServer>) | null;
}

export interface ProvideOptions {
  env: NodeJS.ProcessEnv;
  /** Progress, for people. */
  say: (line: string) => void;
  /** Wins over EVENKEEL_REDIS_URL. */
  url?: string | undefined;
}

const WHAT_TO_DO = `no Redis to be found. One of these helps:
  - install Redis 7 or Valkey:  apt-get install redis-server | dnf install redis | apk add redis | brew install redis
  - start Docker, and Evenkeel uses a container
  - name one that runs:         EVENKEEL_REDIS_URL=redis://host:6379`;

/** @throws when there is none to be had, or the given one does not answer or is too old */
export async function provideRedis({ env, say, url }: ProvideOptions): Promise<ProvidedRedis> {
  const given = url || env.EVENKEEL_REDIS_URL;
  if (given) {
    await probeRedis(given, { timeoutMs: GIVEN_TIMEOUT_MS });
    return { url: given, server: null, stop: async () => {}, restart: null };
  }
  const executable = await executableHere(env, say);
  if (executable !== null) {
    const server = await startRedisServer(executable);
    const port = Number(new URL(server.url).port);
    return own(server, () => startRedisServer(executable, port));
  }
  const container = (await dockerAnswers(env)) ? await startRedisContainer(env, say) : null;
  if (container !== null) return own(container, null);
  throw new Error(WHAT_TO_DO);
}

const own = (server: RedisServer, restart: ProvidedRedis["restart"]): ProvidedRedis => ({
  url: server.url,
  server,
  stop: server.stop,
  restart,
});

async function executableHere(env: NodeJS.ProcessEnv, say: (line: string) => void): Promise<string | null> {
  const found = await findRedisServer(env, say);
  if (found !== null) return found;
  return (await installRedis(env, say)) ? findRedisServer(env, say) : null;
}
