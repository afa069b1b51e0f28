// What a schema cannot say of who may use a route: hashes, networks and URLs have their form, keys fit algorithms, and
// no two parts claim one header. What could be a secret written in the wrong place is never part of a message.
import { parseScrypt } from "../access/password-hash.ts";
import { cidrFault, networkHolds } from "./patterns.ts";
import { type Problem, pointer, shown } from "./problem.ts";
import { DEFAULT_ALGORITHMS, DEFAULT_SECRET_ALGORITHMS } from "./resolve-access.ts";
import { checked, entries, type Part, type Rule, readable, repeated, unreadable } from "./rule.ts";
import { HEADER_RULES } from "./rules-access-headers.ts";
import { ACCESS_LIMITS, SYMMETRIC } from "./schema-access.ts";

type Route = Part<"routes">;
type Access = NonNullable<Route["access"]>;
/** The place of something in the route's `access`. */
type At = (...parts: (string | number)[]) => string;

const forEachAccess = (rule: (access: Access, at: At) => Iterable<Problem>): Rule =>
  function* ({ routes }) {
    for (const [r, { access }] of entries(routes))
      if (access) yield* rule(access, (...parts) => pointer("routes", r, "access", ...parts));
  };

export const ACCESS_RULES: Record<string, Rule> = {
  accessSaysSomething: forEachAccess(accessSaysSomething),
  accessNetworks: forEachAccess(accessNetworks),
  somebodyMay: forEachAccess(somebodyMay),
  consumersAreKnown: forEachAccess(consumersAreKnown),
  certificates: forEachAccess(certificates),
  apiKeys: forEachAccess(apiKeys),
  users: forEachAccess(users),
  tokenKeys: forEachAccess(tokenKeys),
  tokenAlgorithms: forEachAccess(tokenAlgorithms),
  forwardAuthUrl: forEachAccess(forwardAuthUrl),
  rateLimits,
  onlyNetworksBelowHttp,
  certificatesAreAskedFor,
  ...HEADER_RULES,
};

const saysSomething = (access: Access): boolean =>
  Object.keys(access).some((key) => key !== "consumerHeader");

function* accessSaysSomething(access: Access, at: At) {
  if (saysSomething(access)) return;
  yield { path: at(), message: "says nothing, so that everybody may; name who may, or remove it" };
}

function* accessNetworks({ allow, deny }: Access, at: At) {
  for (const [i, cidr] of entries(allow)) yield* checked(cidr, cidrFault, at("allow", i));
  for (const [i, cidr] of entries(deny)) yield* checked(cidr, cidrFault, at("deny", i));
}

/** All addresses; those of one family are never in a network of the other. */
const EVERYWHERE = ["0.0.0.0/0", "::/0"];

function* somebodyMay({ allow = EVERYWHERE, deny }: Access, at: At) {
  if (!deny || ![...allow, ...deny].every((cidr) => cidr !== undefined && cidrFault(cidr) === null)) return;
  const denied = deny as string[];
  if (!(allow as string[]).every((network) => denied.some((wider) => networkHolds(wider, network)))) return;
  const message = "takes everybody whom `allow` lets in, so that nobody may; lower it, or remove it";
  yield { path: at("deny"), message };
}

const SHA256 = /^[0-9a-f]{64}$/i;
const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/** The kinds that Node and OpenSSL write. */
const ALTERNATIVE_NAME = /^(DNS|URI|IP Address|email|Registered ID|DirName|othername):./;

function* certificates({ clientCertificate }: Access, at: At) {
  for (const [i, name] of entries(clientCertificate?.names)) {
    const fault =
      "must begin with its kind, such as DNS:a.example, URI:spiffe://prod/billing or email:a@b.example";
    yield* checked(
      name,
      (text) => (ALTERNATIVE_NAME.test(text) ? null : fault),
      at("clientCertificate", "names", i),
    );
  }
  for (const [i, text] of entries(clientCertificate?.fingerprints)) {
    const fault = "must be a SHA-256: 64 hexadecimal digits, with or without colons";
    const form = (written: string) => (SHA256.test(written.replaceAll(":", "")) ? null : fault);
    yield* checked(text, form, at("clientCertificate", "fingerprints", i));
  }
}

/** Never shows the text: it may be the secret itself. */
function sha256Fault(text: string): string | null {
  if (!SHA256.test(text))
    return "must be the SHA-256 of the secret: 64 hexadecimal digits, as `printf %s SECRET | sha256sum` prints them";
  return text.toLowerCase() === EMPTY_SHA256 ? "is the SHA-256 of an empty text" : null;
}

function* apiKeys({ apiKeys }: Access, at: At) {
  const earlier = new Map<string, number>();
  for (const [i, { sha256 }] of entries(apiKeys?.keys)) {
    if (sha256 === undefined) continue;
    const path = at("apiKeys", "keys", i, "sha256");
    const fault = sha256Fault(sha256);
    const first = earlier.get(sha256.toLowerCase());
    if (fault !== null) yield { path, message: fault };
    else if (first === undefined) earlier.set(sha256.toLowerCase(), i);
    else yield { path, message: `the same key is already taken by ${at("apiKeys", "keys", first)}` };
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const NOT_IN_USER_NAME = /[:\x00-\x1f\x7f]/;
const REALM = /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/;

function* users({ basic }: Access, at: At) {
  if (!basic) return;
  const realmFault = "must be printable ASCII without quotes and backslashes";
  yield* checked(basic.realm, (text) => (REALM.test(text) ? null : realmFault), at("basic", "realm"));
  const place = (i: number) => at("basic", "users", i, "name");
  yield* repeated(basic.users ?? [], ({ name }) => name, place, "user");
  for (const [i, { name, hash }] of entries(basic.users)) {
    const nameFault = "must hold neither a colon nor control characters";
    yield* checked(name, (text) => (NOT_IN_USER_NAME.test(text) ? nameFault : null), place(i));
    const fault = hash === undefined ? null : passwordFault(hash);
    if (fault !== null) yield { path: at("basic", "users", i, "hash"), message: fault };
  }
}

function passwordFault(hash: string): string | null {
  if (hash.startsWith("sha256:")) return sha256Fault(hash.slice("sha256:".length));
  const parsed = parseScrypt(hash);
  return typeof parsed === "string" ? parsed : null;
}

const SOURCES = ["jwks", "keyFile", "secretFile"] as const;

function* tokenKeys({ jwt }: Access, at: At) {
  if (!jwt) return;
  const [first, second] = SOURCES.filter((source) => source in jwt);
  if (first === undefined) {
    const message = 'key "jwks" is missing: where the keys are; or `keyFile`, or `secretFile`';
    yield { path: at("jwt", "jwks"), message };
  } else if (second !== undefined) {
    yield {
      path: at("jwt", second),
      message: `keys come from one place; remove \`${second}\` or \`${first}\``,
    };
  }
  const fault = jwt.jwks === undefined ? null : jwksFault(jwt.jwks);
  if (fault !== null) yield { path: at("jwt", "jwks"), message: fault };
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

function jwksFault(text: string): string | null {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol))
    return "must be a URL such as https://id.example.com/jwks.json";
  if (url.username !== "" || url.password !== "") return "must not hold credentials";
  return url.protocol === "https:" || LOOPBACK.test(url.hostname)
    ? null
    : "must be https:// (http:// only of this machine): who can change the keys on their way can sign any token";
}

function* tokenAlgorithms({ jwt }: Access, at: At) {
  if (!jwt || SOURCES.every((source) => !(source in jwt))) return;
  const symmetric: readonly string[] = SYMMETRIC;
  const secret = "secretFile" in jwt;
  const usual = secret ? DEFAULT_SECRET_ALGORITHMS : DEFAULT_ALGORITHMS;
  for (const [i, algorithm] of entries(unreadable(jwt, "algorithms") ? [] : (jwt.algorithms ?? [...usual]))) {
    if (symmetric.includes(algorithm) === secret) continue;
    const message = secret
      ? `${algorithm} needs a public key; with \`secretFile\` only ${SYMMETRIC.join(", ")}`
      : `${algorithm} needs a secret, and a public key is none: whoever knows it could sign; use \`secretFile\``;
    yield { path: at("jwt", "algorithms", i), message };
  }
}

function* forwardAuthUrl({ forwardAuth }: Access, at: At) {
  if (forwardAuth?.url === undefined) return;
  const url = URL.parse(forwardAuth.url);
  const path = at("forwardAuth", "url");
  if (url === null || !/^https?:$/.test(url.protocol))
    yield { path, message: "must be a URL such as http://auth.internal:4180/check" };
  else if (url.username !== "" || url.password !== "") yield { path, message: "must not hold credentials" };
  else if (url.hash !== "") yield { path, message: "must not hold a fragment" };
}

const IDENTITIES = ["apiKeys", "basic", "jwt", "clientCertificate"] as const;

function* consumersAreKnown(access: Access, at: At) {
  if (!("consumerHeader" in access) || !saysSomething(access)) return;
  if (IDENTITIES.some((identity) => identity in access)) return;
  const message = `nobody says who the consumer is; \`access\` needs one of ${IDENTITIES.join(", ")}`;
  yield { path: at("consumerHeader"), message };
}

function* rateLimits({ routes }: Parameters<Rule>[0]): Generator<Problem> {
  for (const [r, route] of entries(routes)) {
    const { rateLimit, access } = route;
    if (!rateLimit) continue;
    const at: At = (...parts) => pointer("routes", r, "rateLimit", ...parts);
    const { requests, perMs = 1_000, burst = requests, key, header } = rateLimit;
    if (key === "header" && !("header" in rateLimit))
      yield { path: at("header"), message: 'key "header" is missing: whose values are counted apart' };
    if (key !== "header" && header !== undefined && !unreadable(rateLimit, "key"))
      yield {
        path: at("header"),
        message: `key ${key ?? "client"} has no use for it; remove it, or set key: header`,
      };
    const known = IDENTITIES.some((identity) => access && identity in access);
    if (key === "consumer" && !known && !unreadable(route, "access")) {
      const message = `nobody says who the consumer is; \`access\` needs one of ${IDENTITIES.join(", ")}`;
      yield { path: at("key"), message };
    }
    if (requests === undefined || burst === undefined || unreadable(rateLimit, "perMs")) continue;
    if (requests > perMs * ACCESS_LIMITS.requestsPerMs) {
      const message = `at most ${ACCESS_LIMITS.requestsPerMs} per ms can be counted, got ${shown(requests)} in ${perMs} ms`;
      yield { path: at("requests"), message };
    } else if ((burst * perMs) / requests > ACCESS_LIMITS.refillMs) {
      const days = ACCESS_LIMITS.refillMs / 86_400_000;
      yield { path: at("burst"), message: `would take longer than ${days} days to come back; lower it` };
    }
  }
}

/** Below HTTP there is nothing but an address to go by. */
const BELOW_HTTP: readonly string[] = ["allow", "deny"];

function* onlyNetworksBelowHttp({ listeners, routes }: Parameters<Rule>[0]): Generator<Problem> {
  const carriers = new Map([...entries(listeners)].map(([, { name, protocol }]) => [name, protocol]));
  for (const [r, { match, access, rateLimit }] of entries(routes)) {
    const listener = match?.listener;
    const protocol = listener === undefined ? undefined : carriers.get(listener);
    if (protocol === undefined || protocol === "http") continue;
    const place = (...parts: string[]) => pointer("routes", r, ...parts);
    const why = `listener ${listener} carries no HTTP`;
    for (const key of Object.keys(access ?? {}))
      if (!BELOW_HTTP.includes(key))
        yield {
          path: place("access", key),
          message: `${why}; only \`allow\` and \`deny\` have a meaning here`,
        };
    if (rateLimit) yield { path: place("rateLimit"), message: `${why}, so there are no requests to count` };
  }
}

function* certificatesAreAskedFor(draft: Parameters<Rule>[0]): Generator<Problem> {
  if (unreadable(draft, "listeners") || !readable(draft, "listeners")) return;
  const all = (draft.listeners ?? []).filter((listener) => listener?.protocol === "http");
  for (const [r, { match, access }] of entries(draft.routes)) {
    if (!access?.clientCertificate) continue;
    const own = match?.listener;
    const carriers = own === undefined ? all : all.filter((listener) => listener?.name === own);
    if (carriers.length === 0 || carriers.some(asksForCertificates)) continue;
    const message =
      "no listener asks clients for a certificate, so nobody could pass; give one `tls.clientCa`";
    yield { path: pointer("routes", r, "access", "clientCertificate"), message };
  }
}

const asksForCertificates = (listener: Part<"listeners"> | undefined): boolean =>
  listener?.tls?.clientCa !== undefined && listener.tls.clientAuth !== "none";
