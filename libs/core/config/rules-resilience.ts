// What a schema cannot say of how backends are spoken to: which settings belong together, and which have no use for the
// scheme of a pool's backends.
import { type BackendFamily, backendFamily, backendScheme } from "./backend-url.ts";
import { type Problem, pointer } from "./problem.ts";
import { entries, type Part, type Rule, readable } from "./rule.ts";

type Pool = Part<"pools">;
/** The place of something in the pool. */
type At = (...parts: (string | number)[]) => string;
type PoolRule = (pool: Pool, at: At) => Iterable<Problem>;

const forEachPool = (rule: PoolRule): Rule =>
  function* ({ pools }) {
    for (const [p, pool] of entries(pools)) yield* rule(pool, (...parts) => pointer("pools", p, ...parts));
  };

export const RESILIENCE_RULES: Record<string, Rule> = {
  oneFamilyPerPool: forEachPool(oneFamilyPerPool),
  settingsOfTheFamily: forEachPool(settingsOfTheFamily),
  tlsNeedsTlsBackends: forEachPool(tlsNeedsTlsBackends),
  tlsFilesBelongTogether: forEachPool(tlsFilesBelongTogether),
  proxyProtocolOfOneClient: forEachPool(proxyProtocolOfOneClient),
  timeoutsThatCount,
};

/** Of the first backend that could be read; null: there is none. */
function familyOf({ backends }: Pool): BackendFamily | null {
  for (const [, { url }] of entries(backends)) {
    const family = url === undefined ? null : backendFamily(url);
    if (family !== null) return family;
  }
  return null;
}

const FAMILY_WORDS: Readonly<Record<BackendFamily, string>> = {
  http: "http:// and https://",
  tcp: "tcp://",
  udp: "udp://",
};

function* oneFamilyPerPool(pool: Pool, at: At) {
  const family = familyOf(pool);
  if (family === null) return;
  for (const [b, { url }] of entries(pool.backends)) {
    const own = url === undefined ? null : backendFamily(url);
    if (own === null || own === family) continue;
    const message = `a pool is served by one protocol: its first backend is of ${FAMILY_WORDS[family]}, this one of ${FAMILY_WORDS[own]}; make it a pool of its own`;
    yield { path: at("backends", b, "url"), message };
  }
}

/** Each has a meaning for HTTP only. */
const HTTP_SETTINGS = ["http", "tls", "idleConnectionMs", "hedge"] as const;

function* settingsOfTheFamily(pool: Pool, at: At) {
  const family = familyOf(pool);
  if (family === null || family === "http") return;
  for (const setting of HTTP_SETTINGS) {
    if (pool[setting] === undefined) continue;
    const message = `backends of ${FAMILY_WORDS[family]} have no use for \`${setting}\`; remove it, or write their urls with http:// or https://`;
    yield { path: at(setting), message };
  }
  if (family === "udp" && pool.breaker !== undefined) {
    const message = "counts connects, and datagrams have none; remove it";
    yield { path: at("breaker"), message };
  }
}

function* tlsNeedsTlsBackends(pool: Pool, at: At) {
  if (pool.tls === undefined || familyOf(pool) !== "http" || !readable(pool, "backends")) return;
  const some = entries(pool.backends).some(([, { url = "" }]) => backendScheme(url) === "https");
  if (some) return;
  const message =
    "no backend of the pool is spoken to by TLS; write their urls with https://, or remove `tls`";
  yield { path: at("tls"), message };
}

function* tlsFilesBelongTogether({ tls }: Pool, at: At) {
  if (!tls) return;
  const [has, lacks] = "cert" in tls ? (["cert", "key"] as const) : (["key", "cert"] as const);
  if (has in tls && !(lacks in tls)) {
    yield {
      path: at("tls", lacks),
      message: `key "${lacks}" is missing: \`cert\` and \`key\` belong together`,
    };
  }
  if (tls.verify === false && tls.ca !== undefined) {
    const message = "with `verify: false` nobody is asked who signed a certificate; remove `ca` or `verify`";
    yield { path: at("tls", "ca"), message };
  }
}

function* proxyProtocolOfOneClient(pool: Pool, at: At) {
  if (pool.sendProxyProtocol === undefined) return;
  const path = at("sendProxyProtocol");
  if (pool.http === "2") {
    const message =
      'names one client for a whole connection, but with `http: "2"` requests of many clients share one; set http: "1.1"';
    yield { path, message };
  }
  if (familyOf(pool) === "udp") {
    yield { path, message: "is for connections; datagrams of udp:// backends have no place for it" };
  }
}

/** What is said of a part of an answer, beside the bound of the whole. */
const WITHIN_REQUEST = ["responseHeadersMs", "idleMs"] as const;

function* timeoutsThatCount({ routes }: Parameters<Rule>[0]): Generator<Problem> {
  for (const [r, { timeouts }] of entries(routes)) {
    const requestMs = timeouts?.requestMs;
    if (requestMs === undefined) continue;
    for (const key of WITHIN_REQUEST) {
      const ms = timeouts?.[key];
      if (ms === undefined || ms <= requestMs) continue;
      const message = `${ms} is never reached: requestMs ends every request after ${requestMs}; lower it, or remove it`;
      yield { path: pointer("routes", r, "timeouts", key), message };
    }
  }
}
