// What a schema cannot say of how a pool is scheduled: which settings a policy needs, which it has no use for, and what
// would never take effect. Whatever has to do with zones is in rules-geography.ts.

import { PATTERN_WORDS, TOKEN_PATTERN } from "./fields.ts";
import { requestTargetFault } from "./patterns.ts";
import { type Problem, pointer, shown } from "./problem.ts";
import {
  checked,
  type Draft,
  entries,
  type Part,
  type Rule,
  readable,
  repeated,
  unreadable,
} from "./rule.ts";
import { OWN_CRITERIA } from "./schema-scheduling.ts";
import { didYouMean } from "./suggest.ts";

type Pool = Part<"pools">;
/** The place of something in the pool. */
type At = (...parts: (string | number)[]) => string;
type PoolRule = (pool: Pool, at: At) => Iterable<Problem>;

const forEachPool = (rule: PoolRule): Rule =>
  function* ({ pools }) {
    for (const [p, pool] of entries(pools)) yield* rule(pool, (...parts) => pointer("pools", p, ...parts));
  };

export const SCHEDULING_RULES: Record<string, Rule> = {
  settingsOfThePolicy: forEachPool(settingsOfThePolicy),
  hashNames: forEachPool(hashNames),
  differentCriteria: forEachPool(differentCriteria),
  criteriaWithValues: forEachPool(criteriaWithValues),
  reportedMetrics: forEachPool(reportedMetrics),
  agents: forEachPool(agents),
  firstOverflows: forEachPool(firstOverflows),
  hashIsNotAffinity: forEachPool(hashIsNotAffinity),
  uniqueAffinity,
};

/** Each is for the policy of the same name. */
const POLICY_SETTINGS = ["hash", "geo", "criteria"] as const;

function* settingsOfThePolicy(pool: Pool, at: At) {
  if (unreadable(pool, "policy")) return;
  const { policy = "least-connections" } = pool;
  for (const setting of POLICY_SETTINGS) {
    if (setting === policy || pool[setting] === undefined) continue;
    const message = `policy ${policy} has no use for \`${setting}\`; remove it, or set policy: ${setting}`;
    yield { path: at(setting), message };
  }
  if (policy === "criteria" && !("criteria" in pool)) {
    const message =
      'key "criteria" is missing: what policy criteria adds up, such as [{ name: connections, weight: 1 }]';
    yield { path: at("criteria"), message };
  }
}

const TOKEN = new RegExp(TOKEN_PATTERN);
const tokenFault = (text: string) => (TOKEN.test(text) ? null : (PATTERN_WORDS[TOKEN_PATTERN] ?? ""));

function* hashNames({ hash }: Pool, at: At) {
  if (!hash?.key || unreadable(hash, "name")) return;
  const { key, name } = hash;
  const path = at("hash", "name");
  if (key === "address" || key === "path") {
    if (name !== undefined) yield { path, message: `a request has only one ${key}; remove \`name\`` };
  } else if (name === undefined) {
    const what = key === "query" ? "query parameter" : key;
    yield { path, message: `key "name" is missing: the ${what} whose value is hashed` };
  } else if (key !== "query") {
    yield* checked(name, tokenFault, path);
  }
}

function* differentCriteria({ criteria }: Pool, at: At) {
  const place = (i: number) => at("criteria", i, "name");
  yield* repeated(criteria ?? [], ({ name }) => name, place, "criterion");
}

function* criteriaWithValues(pool: Pool, at: At) {
  const { criteria, reports, backends } = pool;
  const agent = reports?.agent;
  const reported = [...(reports?.header ?? []), ...(agent?.metrics ?? [])];
  const own: readonly string[] = OWN_CRITERIA;
  for (const [i, { name }] of entries(criteria)) {
    if (name === undefined) continue;
    const path = at("criteria", i, "name");
    if (!own.includes(name)) {
      if (reported.includes(name) || !readable(pool, "reports")) continue;
      const known = [...own, ...(reported as string[])];
      const message = `nobody reports ${shown(name)}${didYouMean(name, known)}; \`reports\` names what backends report of themselves, and of its own the pool knows ${own.join(", ")}`;
      yield { path, message };
    } else if (name === "cost" && backends?.length && readable(pool, "backends")) {
      const given = backends.some((backend) => backend?.cost !== undefined);
      if (!given) yield { path, message: "no backend of the pool has a `cost`" };
    }
  }
}

function* reportedMetrics({ reports }: Pool, at: At) {
  const lists: [string[], readonly (string | undefined)[] | undefined][] = [
    [["reports", "header"], reports?.header],
    [["reports", "agent", "metrics"], reports?.agent?.metrics],
  ];
  for (const [list, metrics] of lists) {
    const place = (i: number) => at(...list, i);
    yield* repeated(metrics ?? [], (metric) => metric, place, "metric");
    for (const [i, metric] of entries(metrics)) {
      if (!(OWN_CRITERIA as readonly string[]).includes(metric)) continue;
      const message = `"${metric}" is a criterion that needs no report; report this metric under another name`;
      yield { path: place(i), message };
    }
  }
}

/** So that one lost answer does not make the last one too old. A report is believed for twice as long (`estimate.ts`). */
const AGENT_INTERVAL_MAX_MS = 5_000;

function* agents(pool: Pool, at: At) {
  const agent = pool.reports?.agent;
  if (!agent) return;
  const path = at("reports", "agent");
  yield* checked(agent.path, requestTargetFault, at("reports", "agent", "path"));
  if (!("health" in pool)) {
    yield {
      path,
      message: "nobody asks the agent: it is asked with every probe, so the pool needs `health`",
    };
  }
  const { metrics, weight, drain } = agent;
  const asked = metrics?.length !== 0 && metrics !== undefined;
  if (!asked && weight === undefined && drain === undefined && readable(pool, "reports")) {
    yield { path, message: "is asked for nothing: name `metrics`, `weight` or `drain`" };
  }
  const { intervalMs } = pool.health ?? {};
  if (intervalMs !== undefined && intervalMs > AGENT_INTERVAL_MAX_MS) {
    const message = `with an agent, intervalMs must be at most ${AGENT_INTERVAL_MAX_MS}: older reports are not believed; got ${intervalMs}`;
    yield { path: at("health", "intervalMs"), message };
  }
}

/** Of each tier: a higher one serves while those before it are down. */
function* firstOverflows(pool: Pool, at: At) {
  const { policy, backends } = pool;
  if (policy !== "first" || !readable(pool, "backends")) return;
  const last = new Map<number, number>();
  for (const [b, { priority = 0 }] of entries(backends)) last.set(priority, b);
  for (const [b, { id, priority = 0, maxInflight }] of entries(backends)) {
    if (maxInflight !== undefined || last.get(priority) === b) continue;
    const message = `key "maxInflight" is missing: with policy first, those after "${id}" would never serve`;
    yield { path: at("backends", b, "maxInflight"), message };
  }
}

const DEFAULT_COOKIE = "evenkeel";

const affinityCookie = ({ affinity }: Pool): string | undefined =>
  affinity && !unreadable(affinity, "cookie") ? (affinity.cookie ?? DEFAULT_COOKIE) : undefined;

function* hashIsNotAffinity(pool: Pool, at: At) {
  const { hash } = pool;
  const cookie = affinityCookie(pool);
  if (hash?.key !== "cookie" || cookie === undefined || hash.name !== cookie) return;
  yield {
    path: at("affinity", "cookie"),
    message: `cookie "${cookie}" is hashed already; give the session's another name`,
  };
}

/** Cookies are shared by a host's paths: with each answer of one pool, a client would forget its backend in the other. */
function* uniqueAffinity({ pools }: Draft) {
  const place = (p: number) => pointer("pools", p, "affinity", "cookie");
  yield* repeated(pools ?? [], affinityCookie, place, "cookie");
}
