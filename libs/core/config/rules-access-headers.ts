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
  askedHeaders: forEachAccess(askedHeaders),
};

/** They frame the message, end at this hop, or say where a request comes from and goes to. */
const RESERVED = new Set([
  ...["host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te"],
  ...["trailer", "upgrade", "expect", "http2-settings", "forwarded", "x-real-ip"],
]);

const reserved = (name: string): boolean => RESERVED.has(name) || name.startsWith("x-forwarded-");

function* taken(claimed: readonly Claimed[], what: string): Generator<Problem> {
  const first = new Map<string, string>();
  for (const [name, path] of claimed) {
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

function* grantedHeaders({ jwt, forwardAuth, consumerHeader }: Access, at: At) {
  const claimed: Claimed[] = [];
  for (const [claim, name] of Object.entries(jwt?.claimsToHeaders ?? {}))
    if (name !== undefined) claimed.push([name.toLowerCase(), at("jwt", "claimsToHeaders", claim)]);
  for (const [i, name] of entries(forwardAuth?.responseHeaders))
    claimed.push([name.toLowerCase(), at("forwardAuth", "responseHeaders", i)]);
  if (consumerHeader !== undefined) claimed.push([consumerHeader.toLowerCase(), at("consumerHeader")]);
  yield* taken(claimed, "header");
}

function* askedHeaders({ forwardAuth }: Access, at: At) {
  const claimed = [...entries(forwardAuth?.requestHeaders)].map(
    ([i, name]): Claimed => [name.toLowerCase(), at("forwardAuth", "requestHeaders", i)],
  );
  yield* taken(claimed, "header");
}
