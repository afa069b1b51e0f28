// `evenkeel register`: registers a backend and keeps it registered, beside it or as what starts it.
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { backendAddress } from "@evenkeel/core/config/backend-url.ts";
import { originFault } from "@evenkeel/core/config/patterns.ts";
import { LIMITS, NAME_PATTERN } from "@evenkeel/core/config/schema.ts";
import { createAdminApi, type RegistrationFacts } from "../admin-api.ts";
import { type Arguments, type Command, type Context, UsageError, wholeNumber } from "../command.ts";
import { apiUrls, registerToken } from "../find-cluster.ts";
import { type Child, startChild } from "../registering/child.ts";
import { addressTowardsAny, lacksHost, withHost } from "../registering/own-address.ts";
import { keepRegistered, RefusedError } from "../registering/renewal.ts";

/** A scheduler that hangs must not cost the registration, which may last no longer than a second. */
const REQUEST_TIMEOUT_MS = 1_000;
const TTL_BOUNDS_MS = [1_000, LIMITS.timeoutMs] as const;

export const register: Command = {
  name: "register",
  summary: "register a backend in a pool for as long as this runs",
  positionals: [],
  rest: "COMMAND [arguments]",
  flags: {
    pool: { type: "string", value: "POOL", help: "which has `discovery.registration`" },
    url: {
      type: "string",
      value: "URL",
      help: "http://10.0.0.5:8080, or http://:8080 for this machine's address",
    },
    id: { type: "string", value: "ID", help: "stable and unique in the pool; default: host name and port" },
    weight: { type: "string", value: "W", help: "default: the pool's" },
    zone: { type: "string", value: "ZONE", help: "where it stands; default: the pool's" },
    ttl: { type: "string", value: "MS", help: "how long it lasts without renewal; default: the pool's" },
    drain: { type: "string", value: "MS", help: "time between leaving and stopping COMMAND; default 0" },
    api: {
      type: "string",
      value: "URL,URL",
      help: "schedulers; default: EVENKEEL_SCHEDULERS, else those of `up`",
    },
  },
  details: `Renews after a third of the time, at the next scheduler when one fails. On SIGINT or SIGTERM it leaves the pool at once.
With COMMAND it runs that: leaves the pool, waits for --drain, and only then passes SIGTERM on; ends with its exit code.
EVENKEEL_REGISTER_TOKEN, else EVENKEEL_TOKEN, is sent when it is set.`,

  async run(args, context) {
    const { pool, id, url, facts } = backendOf(args);
    const drainMs = wholeNumber(args, "drain", 0, [0, LIMITS.timeoutMs]);
    const urls = await apiUrls(args.text("api"), context);
    const token = registerToken(context);
    const registries = urls.map((one) => createAdminApi([one], token, REQUEST_TIMEOUT_MS));
    const leaving = new AbortController();
    const child = args.rest.length > 0 ? startChild(args.rest, withoutTokens(context.env)) : null;
    const registered = keepRegistered(
      {
        registries,
        pool,
        id,
        facts: addressed(url, urls, facts),
        signal: leaving.signal,
        onRegistered: ({ ttlMs }) =>
          context.say(`registered ${id} in pool ${pool}, for ${ttlMs} ms at a time`),
        onFailing: (reason) => context.say(`${id} is not registered in pool ${pool}: ${reason}`),
        random: Math.random,
        pause,
      },
      child === null,
    );
    return child
      ? besides(child, registered, leaving, drainMs, context)
      : alone(registered, leaving, context);
  },
};

async function alone(
  registered: Promise<void>,
  leaving: AbortController,
  { signal }: Context,
): Promise<number> {
  onAbort(signal, () => leaving.abort());
  try {
    await registered;
    return 0;
  } catch (error) {
    if (error instanceof RefusedError) throw new Error(`refused: ${error.message}`);
    throw error;
  }
}

/** Leaves before the child is told to stop, or when it ended by itself. */
async function besides(
  child: Child,
  registered: Promise<void>,
  leaving: AbortController,
  drainMs: number,
  { signal, force }: Context,
): Promise<number> {
  onAbort(force, () => child.kill("SIGKILL"));
  onAbort(signal, async () => {
    leaving.abort();
    await registered;
    await pause(drainMs, force);
    child.kill("SIGTERM");
  });
  try {
    return await child.ended;
  } finally {
    leaving.abort();
    await registered;
  }
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal }).catch(() => {});

function onAbort(signal: AbortSignal, act: () => void): void {
  if (signal.aborted) act();
  else signal.addEventListener("abort", act, { once: true });
}

/** Backends have no use for them. */
function withoutTokens({ EVENKEEL_REGISTER_TOKEN: _r, EVENKEEL_TOKEN: _t, ...env }: NodeJS.ProcessEnv) {
  return env;
}

/** The address is found out with the first scheduler that can be reached, and then it stays. */
function addressed(
  url: string,
  apis: readonly string[],
  facts: Omit<RegistrationFacts, "url">,
): () => Promise<RegistrationFacts> {
  let known = lacksHost(url) ? null : url;
  return async () => {
    known ??= withHost(url, await addressTowardsAny(apis));
    return { url: known, ...facts };
  };
}

interface Wanted {
  pool: string;
  id: string;
  url: string;
  facts: Omit<RegistrationFacts, "url">;
}

/** @throws UsageError */
function backendOf(args: Arguments): Wanted {
  const pool = nameOf(args, "pool") ?? missing("pool", "POOL");
  const url = args.text("url") ?? missing("url", "URL");
  const whole = withHost(url, "127.0.0.1");
  const fault = originFault(whole);
  if (fault !== null) throw new UsageError(`--url ${fault}`);
  const id = nameOf(args, "id") ?? defaultId(backendAddress(whole)?.port ?? 0);
  const zone = nameOf(args, "zone");
  const facts = {
    ...(args.given("weight") && { weight: wholeNumber(args, "weight", 1, [1, LIMITS.weight]) }),
    ...(zone !== null && { zone }),
    ...(args.given("ttl") && { ttlMs: wholeNumber(args, "ttl", 0, TTL_BOUNDS_MS) }),
  };
  return { pool, id, url, facts };
}

const NAME = new RegExp(NAME_PATTERN);
const NAME_LENGTH_MAX = 63;

function nameOf(args: Arguments, flag: string): string | null {
  const name = args.text(flag);
  if (name === null || NAME.test(name)) return name;
  throw new UsageError(
    `--${flag} must be 1 to 63 letters, digits, ".", "_" or "-", the first a letter or digit, got "${name}"`,
  );
}

function missing(flag: string, value: string): never {
  throw new UsageError(`register needs --${flag} ${value}`);
}

/** Host names may have what ids may not, and be longer. */
function defaultId(port: number): string {
  const end = `-${port}`;
  const host = hostname()
    .replaceAll(/[^A-Za-z0-9._-]/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "");
  return `${(host || "backend").slice(0, NAME_LENGTH_MAX - end.length)}${end}`;
}
