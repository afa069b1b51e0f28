// Every EVENKEEL_* variable, once: name, default, meaning, and what its value may be. Services read them through
// `readEnvironment`, which reports all faults together and never touches `process.env` itself. docs/configuration.md
// shows this table.

import { NAME_PATTERN } from "@evenkeel/core/config/schema.ts";
import { redisAddressFault } from "./redis-address.ts";

/** Null when the value will do, else what it must be. Never repeats the value, which may hold a secret. */
type Check = (value: string) => string | null;

export interface Variable {
  default: string;
  meaning: string;
  check: Check;
  /** The value never appears in a message. */
  secret?: true;
}

const HOUR_MS = 3_600_000;
const LAST_PORT = 65_535;
const NAME = new RegExp(NAME_PATTERN);

const anyText: Check = () => null;
/** What can stand in a header as it is. */
export const tokenFault: Check = (value) =>
  /^[\x21-\x7e]*$/.test(value)
    ? null
    : "may have only visible ASCII characters: no blank, and no line end after it";
const noShorterThan =
  (length: number): Check =>
  (value) =>
    value.length >= length ? null : `must have at least ${length} characters`;
const whole =
  (minimum: number, maximum: number): Check =>
  (value) =>
    /^\d+$/.test(value) && Number(value) >= minimum && Number(value) <= maximum
      ? null
      : `must be a whole number from ${minimum} to ${maximum}`;
const oneOf =
  (...values: string[]): Check =>
  (value) =>
    values.includes(value) ? null : `must be one of ${values.join(", ")}`;
const name: Check = (value) =>
  NAME.test(value)
    ? null
    : 'may have letters, digits, ".", "_" and "-", at most 63, beginning with a letter or digit';
const httpUrls: Check = (value) => {
  const urls = value.split(",").map((url) => url.trim());
  const faulty = urls.some((url) => url !== "" && !(URL.canParse(url) && new URL(url).protocol === "http:"));
  return faulty ? "must be http:// URLs separated by commas" : null;
};

export const VARIABLES = {
  EVENKEEL_REDIS_URL: {
    default: "redis://127.0.0.1:6379",
    meaning: "Redis or Valkey, version 7 or later: one server, behind Sentinel, or a Redis Cluster",
    check: redisAddressFault,
    secret: true,
  },
  EVENKEEL_PREFIX: {
    default: "evenkeel",
    meaning: "First part of every Redis key and channel",
    check: anyText,
  },
  EVENKEEL_NAME: {
    default: "",
    meaning: "Name in logs, metrics and status; default: role and process id",
    check: name,
  },
  EVENKEEL_ADMIN_ADDRESS: {
    default: "127.0.0.1",
    meaning: "Local address of the admin port",
    check: anyText,
  },
  EVENKEEL_ADMIN_PORT: {
    default: "0",
    meaning: "Admin port (scheduler: its API); 0 lets the system choose",
    check: whole(0, LAST_PORT),
  },
  EVENKEEL_ADVERTISE_HOST: {
    default: "",
    meaning:
      "Host under which others reach the admin port; default: the admin address, or the first outside one",
    check: anyText,
  },
  EVENKEEL_TOKEN: {
    default: "",
    meaning:
      "Bearer token for settles and for changes through the admin API; without one only loopback may change",
    check: tokenFault,
    secret: true,
  },
  EVENKEEL_REGISTER_TOKEN: {
    default: "",
    meaning: "Bearer token that is good for registrations of backends, and for nothing else",
    check: tokenFault,
    secret: true,
  },
  EVENKEEL_CONFIG: {
    default: "",
    meaning: "scheduler: configuration file applied when Redis holds none",
    check: anyText,
  },
  EVENKEEL_SCHEDULERS: {
    default: "",
    meaning: "gateway: fixed scheduler URLs, comma separated; default: those announced in Redis",
    check: httpUrls,
  },
  EVENKEEL_ZONE: {
    default: "",
    meaning: "gateway: its zone, for requests of which nothing else tells where they come from",
    check: name,
  },
  EVENKEEL_COOKIE_SECRET: {
    default: "",
    meaning: "gateway: signs the cookies of session affinity; default: one that all share through Redis",
    check: noShorterThan(16),
    secret: true,
  },
  EVENKEEL_PORT_OFFSET: {
    default: "0",
    meaning: "gateway: added to every listener's port",
    check: whole(0, LAST_PORT),
  },
  EVENKEEL_DRAIN_GRACE_MS: {
    default: "0",
    meaning: "gateway: still accept this long after SIGTERM, not ready",
    check: whole(0, HOUR_MS),
  },
  EVENKEEL_DRAIN_DEADLINE_MS: {
    default: "30000",
    meaning: "Longest wait for requests in flight after SIGTERM",
    check: whole(0, HOUR_MS),
  },
  EVENKEEL_LOG_LEVEL: {
    default: "info",
    meaning: "trace, debug, info, warn, error, fatal or silent",
    check: oneOf("trace", "debug", "info", "warn", "error", "fatal", "silent"),
  },
  EVENKEEL_ACCESS_LOG: {
    default: "off",
    meaning: "gateway: on writes one log line per request",
    check: oneOf("on", "off"),
  },
} as const satisfies Record<string, Variable>;

export type VariableName = keyof typeof VARIABLES;
export type Environment = Record<VariableName, string>;

/** All variables with defaults filled in. @throws EnvironmentError with every unknown EVENKEEL_* variable and every faulty value */
export function readEnvironment(env: NodeJS.ProcessEnv): Environment {
  const faults: string[] = [];
  const unknown = Object.keys(env).filter((name) => name.startsWith("EVENKEEL_") && !(name in VARIABLES));
  if (unknown.length > 0) {
    faults.push(`unknown variable ${unknown.join(", ")}; known: ${Object.keys(VARIABLES).join(", ")}`);
  }
  const entries = Object.entries<Variable>(VARIABLES).map(([name, variable]): [string, string] => {
    const value = env[name];
    if (!value) return [name, variable.default];
    const fault = variable.check(value);
    if (fault !== null) faults.push(`${name} ${fault}${variable.secret ? "" : `, got "${value}"`}`);
    return [name, value];
  });
  if (faults.length > 0) throw new EnvironmentError(faults.join("\n"));
  return Object.fromEntries(entries) as Environment;
}

/** A whole number from the environment. @throws EnvironmentError outside [minimum, maximum] */
export function integer(
  environment: Environment,
  name: VariableName,
  minimum: number,
  maximum: number,
): number {
  const value = environment[name];
  const fault = whole(minimum, maximum)(value);
  if (fault === null) return Number(value);
  throw new EnvironmentError(`${name} ${fault}, got "${value}"`);
}

/** Its message has one line for each fault. */
export class EnvironmentError extends Error {
  override name = "EnvironmentError";
}
