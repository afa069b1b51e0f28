// Every EVENKEEL_* variable, once: name, default, meaning. Services read them through `readEnvironment`, which
// reports all faults together and never touches `process.env` itself. docs/configuration.md shows this table.

import { NAME_PATTERN } from "@evenkeel/core/config/schema.ts";

export interface Variable {
  default: string;
  meaning: string;
}

export const VARIABLES = {
  EVENKEEL_REDIS_URL: { default: "redis://127.0.0.1:6379", meaning: "Redis or Valkey, version 7 or later" },
  EVENKEEL_PREFIX: { default: "evenkeel", meaning: "First part of every Redis key and channel" },
  EVENKEEL_NAME: { default: "", meaning: "Name in logs, metrics and status; default: role and process id" },
  EVENKEEL_ADMIN_ADDRESS: { default: "127.0.0.1", meaning: "Local address of the admin port" },
  EVENKEEL_ADMIN_PORT: { default: "0", meaning: "Admin port (scheduler: its API); 0 lets the system choose" },
  EVENKEEL_ADVERTISE_HOST: {
    default: "",
    meaning:
      "Host under which others reach the admin port; default: the admin address, or the first outside one",
  },
  EVENKEEL_TOKEN: {
    default: "",
    meaning:
      "Bearer token for settles and for changes through the admin API; without one only loopback may change",
  },
  EVENKEEL_CONFIG: { default: "", meaning: "scheduler: configuration file applied when Redis holds none" },
  EVENKEEL_SCHEDULERS: {
    default: "",
    meaning: "gateway: fixed scheduler URLs, comma separated; default: those announced in Redis",
  },
  EVENKEEL_ZONE: { default: "", meaning: "gateway: the zone it stands in" },
  EVENKEEL_PORT_OFFSET: { default: "0", meaning: "gateway: added to every listener's port" },
  EVENKEEL_DRAIN_GRACE_MS: {
    default: "0",
    meaning: "gateway: still accept this long after SIGTERM, not ready",
  },
  EVENKEEL_DRAIN_DEADLINE_MS: {
    default: "30000",
    meaning: "Longest wait for requests in flight after SIGTERM",
  },
  EVENKEEL_LOG_LEVEL: { default: "info", meaning: "trace, debug, info, warn, error, fatal or silent" },
  EVENKEEL_ACCESS_LOG: { default: "off", meaning: "gateway: on writes one log line per request" },
} as const satisfies Record<string, Variable>;

export type VariableName = keyof typeof VARIABLES;
export type Environment = Record<VariableName, string>;

const NAME = new RegExp(NAME_PATTERN);

/** All variables with defaults filled in. @throws EnvironmentError naming every unknown EVENKEEL_* variable, or a name that cannot be one */
export function readEnvironment(env: NodeJS.ProcessEnv): Environment {
  const unknown = Object.keys(env).filter((name) => name.startsWith("EVENKEEL_") && !(name in VARIABLES));
  if (unknown.length > 0) {
    throw new EnvironmentError(
      `unknown variable ${unknown.join(", ")}; known: ${Object.keys(VARIABLES).join(", ")}`,
    );
  }
  if (env.EVENKEEL_NAME && !NAME.test(env.EVENKEEL_NAME)) {
    throw new EnvironmentError(
      `EVENKEEL_NAME may have letters, digits, ".", "_" and "-", at most 63, got "${env.EVENKEEL_NAME}"`,
    );
  }
  const entries = Object.entries(VARIABLES).map(([name, v]) => [name, env[name] || v.default]);
  return Object.fromEntries(entries) as Environment;
}

/** A whole number from the environment. @throws EnvironmentError outside [minimum, maximum] */
export function integer(
  environment: Environment,
  name: VariableName,
  minimum: number,
  maximum: number,
): number {
  const value = Number(environment[name]);
  if (Number.isInteger(value) && value >= minimum && value <= maximum) return value;
  throw new EnvironmentError(
    `${name} must be a whole number from ${minimum} to ${maximum}, got "${environment[name]}"`,
  );
}

export class EnvironmentError extends Error {
  override name = "EnvironmentError";
}
