// What a schema cannot say of how backends are judged: which settings a probe's protocol has a use for, what can be sent,
// and what would contradict itself.
import { parseAddress } from "../network/networks.ts";
import { requestTargetFault } from "./patterns.ts";
import { type Problem, pointer } from "./problem.ts";
import { checked, type Draft, entries, type Part, type Rule } from "./rule.ts";
import type { PROBE_PROTOCOLS } from "./schema-health.ts";

type Protocol = (typeof PROBE_PROTOCOLS)[number];
type Health = NonNullable<Part<"pools">["health"]>;
/** The place of something in the pool. */
type At = (...parts: (string | number)[]) => string;

export const HEALTH_RULES: Record<string, Rule> = {
  settingsOfTheProtocol: forEachHealth(settingsOfTheProtocol),
  paces: forEachHealth(paces),
  requests: forEachHealth(requests),
  probeHeaders: forEachHealth(probeHeaders),
  answers: forEachHealth(answers),
  ejection,
};

function forEachHealth(rule: (health: Health, at: At) => Iterable<Problem>): Rule {
  return function* ({ pools }) {
    for (const [p, { health }] of entries(pools)) {
      if (health) yield* rule(health, (...parts) => pointer("pools", p, "health", ...parts));
    }
  };
}

/** Where it is not for all. */
const USED_BY: Partial<Record<keyof Health, readonly Protocol[]>> = {
  path: ["http"],
  method: ["http"],
  headers: ["http"],
  expectStatus: ["http"],
  expectBody: ["http"],
  host: ["http", "grpc"],
  servername: ["http", "grpc"],
  send: ["tcp"],
  expect: ["tcp"],
  service: ["grpc"],
};

function* settingsOfTheProtocol(health: Health, at: At) {
  const { protocol } = health;
  if (protocol === undefined) return;
  for (const [setting, protocols] of Object.entries(USED_BY)) {
    if (protocols.includes(protocol) || health[setting as keyof Health] === undefined) continue;
    const others = protocols.join(" or ");
    const message = `a ${protocol} probe has no use for \`${setting}\`; remove it, or use protocol ${others}`;
    yield { path: at(setting), message };
  }
}

function* paces({ intervalMs = 2_000, timeoutMs = 1_000, fastIntervalMs }: Health, at: At) {
  if (timeoutMs > intervalMs) {
    const message = `timeoutMs (${timeoutMs}) must not be longer than intervalMs (${intervalMs})`;
    yield { path: at("timeoutMs"), message };
  }
  if (fastIntervalMs !== undefined && fastIntervalMs > intervalMs) {
    const message = `fastIntervalMs (${fastIntervalMs}) must not be longer than intervalMs (${intervalMs})`;
    yield { path: at("fastIntervalMs"), message };
  }
}

const hostFault = (text: string) =>
  /^[\x21-\x7e]+$/.test(text) && !/[/?#@\\]/.test(text) ? null : "must be a host, with a port if need be";

const nameFault = (text: string) =>
  parseAddress(text) === null && /^[A-Za-z0-9._-]+$/.test(text)
    ? null
    : "must be a host name: TLS verifies no other by name";

function* requests({ protocol, path, host, servername }: Health, at: At) {
  if (protocol === "http") yield* checked(path, requestTargetFault, at("path"));
  yield* checked(host, hostFault, at("host"));
  yield* checked(servername, nameFault, at("servername"));
}

/** What a probe says of itself, by the name of the header. */
const OWN_HEADERS: Readonly<Record<string, string>> = {
  host: "write it as `host`",
  connection: "a probe always closes its connection",
  "keep-alive": "a probe always closes its connection",
  "content-length": "a probe has no body",
  "transfer-encoding": "a probe has no body",
  trailer: "a probe has no body",
  expect: "a probe has no body",
  te: "a probe asks for nothing else",
  upgrade: "a probe asks for no other protocol",
};

const valueFault = (text: string) =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what would break the request apart
  /[\u0000-\u0008\u000a-\u001f\u007f]/.test(text) ? "must not hold control characters" : null;

function* probeHeaders({ headers }: Health, at: At) {
  const seen = new Map<string, string>();
  for (const [name, value] of Object.entries(headers ?? {})) {
    const path = at("headers", name);
    const lower = name.toLowerCase();
    const earlier = seen.get(lower);
    const why = OWN_HEADERS[lower];
    if (why !== undefined) yield { path, message: `must not be given: ${why}` };
    else if (earlier !== undefined) yield { path, message: `is the same header as ${earlier}` };
    seen.set(lower, name);
    yield* checked(value, valueFault, path);
  }
}

function* answers({ protocol, method, expectStatus, expectBody }: Health, at: At) {
  yield* risingRanges(expectStatus, (i) => at("expectStatus", i));
  if (protocol === "http" && method === "HEAD" && expectBody !== undefined) {
    yield { path: at("expectBody"), message: "an answer to HEAD has no body; use method: GET" };
  }
}

function* ejection({ pools }: Draft) {
  for (const [p, { eject, ejectMs = 10_000 }] of entries(pools)) {
    if (!eject) continue;
    const at: At = (...parts) => pointer("pools", p, "eject", ...parts);
    yield* risingRanges(eject.statuses, (i) => at("statuses", i));
    if (eject.maxMs !== undefined && eject.maxMs < ejectMs) {
      const message = `maxMs (${eject.maxMs}) must not be shorter than ejectMs (${ejectMs})`;
      yield { path: at("maxMs"), message };
    }
  }
}

function* risingRanges(ranges: readonly (string | undefined)[] | undefined, place: (i: number) => string) {
  for (const [i, range] of entries(ranges)) {
    const [from = "", to = from] = range.split("-");
    if (to < from) yield { path: place(i), message: `must rise; got "${range}"` };
  }
}
