// Headers that access uses: where credentials stand, and what backends are told. One header, one meaning; none that
// frames messages or belongs to the proxy itself.
import { type Problem, pointer, shown } from "./problem.ts";
import { entries, type Part, type Rule } from "./rule.ts";

type Access = NonNullable<Part<"routes">["access"]>;
type At = (...parts: (string | number)[]) => string;
/** Name in lower case, and its place. */
type Claimed = [name: string, path: string];

const forEachAccess = (rule: (access: Access, at: At) => Iterable<Problem>): Rule =>
  function* ({ routes }) {
    for (const [r, { access }] of entries(routes))
      if (access) yield* rule(access, (...parts) => pointer("routes", r, "access", ...parts));
  };

export const HEADER_RULES: Record<string, Rule> = {
  credentialHeaders: forEachAccess(credentialHeaders),
  grantedHeaders: forEachAccess(grantedHeaders),
  grantsReplaceNoCredential: forEachAccess(grantsReplaceNoCredential),
  grantsAreLeftAlone,
  askedHeaders: forEachAccess(askedHeaders),
};

/** They frame the message, end at this hop, or say where a request comes from and goes to. */
const RESERVED = new Set([
  ...["host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te"],
  ...["trailer", "upgrade", "expect", "http2-settings", "forwarded", "x-real-ip"],
]);

const reserved = (name: string): boolean => RESERVED.has(name) || name.startsWith("x-forwarded-");

/** What passes headers on as variables of an environment (CGI, WSGI) reads x_user as x-user. */
const dashed = (name: string): string => name.toLowerCase().replaceAll("_", "-");

function* taken(claimed: readonly Claimed[], what: string): Generator<Problem> {
  const first = new Map<string, string>();
  for (const [written, path] of claimed) {
    const name = dashed(written);
    const earlier = first.get(name);
    if (earlier !== undefined)
      yield { path, message: `${what} ${shown(name)} is already taken by ${earlier}` };
    else first.set(name, path);
    if (reserved(name)) yield { path, message: `${shown(name)} belongs to the proxy; use another header` };
  }
}

/** Two credentials in one header could never both be there. */
function* credentialHeaders({ apiKeys, basic, jwt }: Access, at: At) {
  const claimed: Claimed[] = [];
  const add = (name: string | undefined, part: string) =>
    name === undefined ||
    claimed.push([name.toLowerCase(), at(part, ...(part === "basic" ? [] : ["header"]))]);
  if (basic) add("authorization", "basic");
  if (apiKeys) add("header" in apiKeys ? apiKeys.header : "x-api-key", "apiKeys");
  if (jwt) add("header" in jwt ? jwt.header : "authorization", "jwt");
  yield* taken(claimed, "header");
}

function* grantedHeaders(access: Access, at: At) {
  yield* taken(grantsOf(access, at), "header");
}

/** What backends are told, and where that is said. */
function grantsOf({ jwt, forwardAuth, consumerHeader }: Access, at: At): Claimed[] {
  const claimed: Claimed[] = [];
  for (const [claim, name] of Object.entries(jwt?.claimsToHeaders ?? {}))
    if (name !== undefined) claimed.push([name.toLowerCase(), at("jwt", "claimsToHeaders", claim)]);
  for (const [i, name] of entries(forwardAuth?.responseHeaders))
    claimed.push([name.toLowerCase(), at("forwardAuth", "responseHeaders", i)]);
  if (consumerHeader !== undefined) claimed.push([consumerHeader.toLowerCase(), at("consumerHeader")]);
  return claimed;
}

/** A credential that is passed on, and what is said in its place, cannot both be in one header. */
function* grantsReplaceNoCredential(access: Access, at: At) {
  const { apiKeys, basic, jwt } = access;
  const passedOn = new Map<string, string>();
  const pass = (header: string | undefined, part: string) =>
    header !== undefined && passedOn.set(dashed(header), at(part, "forward"));
  if (apiKeys?.forward) pass("header" in apiKeys ? apiKeys.header : "x-api-key", "apiKeys");
  if (basic?.forward) pass("authorization", "basic");
  if (jwt?.forward) pass("header" in jwt ? jwt.header : "authorization", "jwt");
  for (const [name, path] of grantsOf(access, at)) {
    const other = passedOn.get(dashed(name));
    if (other === undefined) continue;
    yield { path, message: `header ${shown(name)} holds what ${other} passes on; use another header` };
  }
}

/** Header rules have the last word, so that one of them would undo what was found out of the client. */
function* grantsAreLeftAlone({ routes }: Parameters<Rule>[0]): Generator<Problem> {
  for (const [r, { access, headers }] of entries(routes)) {
    if (!access || !headers?.request) continue;
    const at: At = (...parts) => pointer("routes", r, "access", ...parts);
    const granted = new Map(grantsOf(access, at).map(([name, path]) => [dashed(name), path]));
    const { set = {}, add = {}, remove } = headers.request;
    const changed: Claimed[] = [...entries(remove)].map(([i, name]) => [name, rule(r, "remove", i)]);
    for (const name of Object.keys(set)) changed.push([name, rule(r, "set", name)]);
    for (const name of Object.keys(add)) changed.push([name, rule(r, "add", name)]);
    for (const [name, path] of changed) {
      const by = granted.get(dashed(name));
      if (by !== undefined)
        yield { path, message: `header ${shown(name)} is set by ${by}; remove one of them` };
    }
  }
}

const rule = (r: number, ...parts: (string | number)[]): string =>
  pointer("routes", r, "headers", "request", ...parts);

function* askedHeaders({ forwardAuth }: Access, at: At) {
  const claimed = [...entries(forwardAuth?.requestHeaders)].map(
    ([i, name]): Claimed => [name.toLowerCase(), at("forwardAuth", "requestHeaders", i)],
  );
  yield* taken(claimed, "header");
}
