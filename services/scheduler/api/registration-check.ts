// Whether a backend may register itself. It says where requests go, so whoever can register can have gateways connect to
// any address: only addresses that the operator allowed are taken, and never the cluster's own.
import { backendAddress, backendOrigin } from "@evenkeel/core/config/backend-url.ts";
import { unfitness } from "@evenkeel/core/config/discovered.ts";
import { canonicalAddress, originFault } from "@evenkeel/core/config/patterns.ts";
import type { BackendDocument, PoolDocument } from "@evenkeel/core/config/schema.ts";
import { forbiddenAddress } from "@evenkeel/core/network/forbidden.ts";
import { createNetworks, type Networks } from "@evenkeel/core/network/networks.ts";
import type { Member } from "@evenkeel/core/wire/member.ts";
import type { Registered } from "@evenkeel/ledger/registrations.ts";
import type { AppliedConfig } from "@evenkeel/runtime/config-watch.ts";
import { SchedulerError, unknownPool } from "../errors.ts";
import { ownAddress } from "./own-addresses.ts";

export interface Registering {
  pool: PoolDocument;
  /** As it registers itself, without the pool's defaults. */
  backend: BackendDocument;
  config: AppliedConfig;
  members: readonly Member[];
}

type RegistrationDocument = NonNullable<NonNullable<PoolDocument["discovery"]>["registration"]>;

const DEFAULT_MAX_BACKENDS = 1_000;

/** The pool, as written. @throws SchedulerError when there is none, or none that takes registrations */
export function registrablePool(
  config: AppliedConfig,
  name: string,
): { pool: PoolDocument; rules: RegistrationDocument } {
  const pool = config.written.pools.find((one) => one.name === name);
  if (!pool) throw unknownPool(name);
  const rules = pool.discovery?.registration;
  if (rules) return { pool, rules };
  throw new SchedulerError(
    "registration_not_allowed",
    `backends of pool "${name}" may not register themselves; \`discovery.registration\` of the pool allows it`,
  );
}

/**
 * What holds whenever it registers or renews: the configuration may have changed since.
 * @throws SchedulerError
 */
export function checkPlace(registering: Registering, rules: RegistrationDocument): void {
  const { pool, backend, config, members } = registering;
  const fault = originFault(backend.url);
  const address = fault === null ? backendAddress(backend.url) : null;
  if (!address) throw atUrl("invalid_request", `url ${fault ?? "is no address"}`);
  if (canonicalAddress(address.host) === null) {
    const why = "a name can be made to lead elsewhere later; register the address itself";
    throw atUrl("invalid_request", `url has the name "${address.host}": ${why}`);
  }
  const forbidden = forbiddenAddress(address.host) ?? ownAddress(address, config.written, members);
  if (forbidden !== null) throw atUrl("forbidden_address", forbidden);
  if (allowedBy(rules).find(address.host) === null) {
    const message = `${address.host} is in none of the networks that \`discovery.registration.allow\` of pool "${pool.name}" names`;
    throw atUrl("forbidden_address", message);
  }
  const { file = [], dns = [], docker = [] } = config.discovered[pool.name] ?? {};
  checkTaken(backend, pool.backends, ({ id }) => `the configured backend "${id}"`);
  checkTaken(
    backend,
    [...listed(file), ...listed(dns), ...listed(docker)],
    ({ id }) => `"${id}", found elsewhere`,
  );
}

/**
 * What has to hold besides when it is new, or another than it was.
 * @param live registrations of all pools
 * @throws SchedulerError
 */
export function checkNewcomer(
  registering: Registering,
  rules: RegistrationDocument,
  live: readonly Registered[],
): void {
  const { pool, backend, config } = registering;
  const others = live.filter((one) => one.pool === pool.name);
  for (const one of others) {
    // The same id with the same address is itself, with other facts.
    if (one.backend.id === backend.id && sameOrigin(one.backend.url, backend.url)) continue;
    const until = new Date(one.renewedMs + one.ttlMs).toISOString();
    checkTaken(
      backend,
      [one.backend],
      ({ id, url }) => `the registration "${id}" (${url}), which lasts until ${until} unless it is renewed`,
    );
  }
  const rest = others.filter((one) => one.backend.id !== backend.id).map((one) => one.backend);
  const maxBackends = rules.maxBackends ?? DEFAULT_MAX_BACKENDS;
  if (rest.length >= maxBackends) {
    throw new SchedulerError(
      "pool_full",
      `pool "${pool.name}" takes ${maxBackends} registrations (\`discovery.registration.maxBackends\`), and has them`,
    );
  }
  const whole = { ...pool.discovery?.defaults, ...backend };
  const unfit = unfitness(pool, [...pool.backends, ...rest], whole, config.written);
  if (unfit === null) return;
  const [at = "", ...reason] = unfit.split(" ");
  throw new SchedulerError("invalid_request", `${at.slice(1)} ${reason.join(" ")}`, { at });
}

function checkTaken(
  backend: BackendDocument,
  others: readonly BackendDocument[],
  holder: (other: BackendDocument) => string,
): void {
  for (const other of others) {
    const at = other.id === backend.id ? "/id" : sameOrigin(other.url, backend.url) ? "/url" : null;
    if (at === null) continue;
    const message = `${at.slice(1)} ${at === "/id" ? `"${backend.id}"` : backend.url} is taken by ${holder(other)}`;
    throw new SchedulerError("already_taken", message, { at });
  }
}

const originOf = (url: unknown): string | null =>
  typeof url === "string" && originFault(url) === null ? backendOrigin(url) : null;

const sameOrigin = (a: unknown, b: string): boolean => originOf(a) === originOf(b);

/** What stands in Redis may be anything. */
const listed = (backends: unknown): BackendDocument[] =>
  Array.isArray(backends) ? backends.filter((one) => typeof one === "object" && one !== null) : [];

const networks = new WeakMap<RegistrationDocument, Networks<true>>();

/** Up to a thousand networks, and every renewal asks. */
function allowedBy(rules: RegistrationDocument): Networks<true> {
  const known = networks.get(rules);
  if (known) return known;
  const made = createNetworks(rules.allow.map((cidr) => ({ cidr, value: true as const })));
  networks.set(rules, made);
  return made;
}

const atUrl = (code: "invalid_request" | "forbidden_address", message: string) =>
  new SchedulerError(code, message, { at: "/url" });
