import { describe, expect, test } from "vitest";
import { parseConfig } from "./parse.ts";
import { resolveConfig } from "./resolve.ts";
import { validateConfig } from "./validate.ts";

const KEY = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
const OTHER = KEY.replace("2bb", "3cc");
const SCRYPT = "$scrypt$ln=15,r=8,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo";

// Line numbers below count in this text.
const SOUND = `listeners: [{ name: web, protocol: http, port: 8443, tls: { certificates: [{ cert: /c.pem, key: /k.pem }], clientCa: /ca.pem } }]
pools:
  - { name: p, backends: [{ id: p-1, url: "http://10.0.0.1:80" }] }
routes:
  - name: partners
    match: { path: /partners/* }
    proxy: dynamic
    pool: p
    access:
      allow: [10.0.0.0/8, "fd00::/8"]
      deny: [10.0.0.13/32]
      clientCertificate:
        subjects: ["CN=alice,O=Example"]
        names: ["URI:spiffe://prod/billing"]
        fingerprints: ["${KEY}"]
      apiKeys:
        header: X-Partner-Key
        keys:
          - { name: partner, sha256: ${KEY} }
          - { name: other, sha256: ${OTHER} }
      jwt:
        jwks: https://id.example.com/jwks.json
        issuer: https://id.example.com/
        audiences: [api]
        algorithms: [RS256]
        claimsToHeaders: { sub: X-User, "https://example.com/roles": x-roles }
      forwardAuth:
        url: http://auth.internal:4180/check
        requestHeaders: [cookie]
        responseHeaders: [X-Auth-Groups]
      consumerHeader: X-Consumer
    rateLimit: { requests: 100, perMs: 1000, burst: 20, key: consumer }
  - name: office
    match: { path: /office/* }
    proxy: dynamic
    pool: p
    access:
      basic:
        realm: The office
        users:
          - { name: alice, hash: "${SCRYPT}" }
          - { name: bot, hash: "sha256:${KEY}" }
    rateLimit: { requests: 10, key: header, header: x-tenant }
  - name: machines
    match: { path: /machines/* }
    proxy: dynamic
    pool: p
    access:
      jwt: { secretFile: /etc/evenkeel/secret, issuer: us, audiences: ["*"] }
    rateLimit: { requests: 5 }
  - name: files
    match: { path: /files/* }
    proxy: dynamic
    pool: p
    access:
      jwt: { keyFile: /etc/evenkeel/key.pem, issuer: us, audiences: [files, api] }
`;

/** [what is wrong, text to replace, replacement, path, line, part of the message] */
// biome-ignore format: a table, one row per fault
const BROKEN: [string, string, string, string, number, string][] = [
  ["nothing that access says", 'jwt: { keyFile: /etc/evenkeel/key.pem, issuer: us, audiences: [files, api] }', "consumerHeader: x-who", "/routes/3/access", 55, "says nothing, so that everybody may"],
  ["an empty list of those who may", 'allow: [10.0.0.0/8, "fd00::/8"]', "allow: []", "/routes/0/access/allow", 10, "at least 1 entry"],
  ["an empty list of those who may not", "deny: [10.0.0.13/32]", "deny: []", "/routes/0/access/deny", 11, "at least 1 entry"],
  ["a network without a length", "10.0.0.13/32", "10.0.0.13", "/routes/0/access/deny/0", 11, "a single address is written 10.0.0.13/32"],
  ["a network that is none", "10.0.0.0/8", "office", "/routes/0/access/allow/0", 10, "must be a network such as"],
  ["a certificate's name without its kind", "URI:spiffe://prod/billing", "spiffe://prod/billing", "/routes/0/access/clientCertificate/names/0", 14, "must begin with its kind"],
  ["a fingerprint by SHA-1", `["${KEY}"]`, '["da39a3ee5e6b4b0d3255bfef95601890afd80709"]', "/routes/0/access/clientCertificate/fingerprints/0", 15, "must be a SHA-256"],
  ["no subject in the list", '["CN=alice,O=Example"]', "[]", "/routes/0/access/clientCertificate/subjects", 13, "at least 1 entry"],
  ["a certificate that nobody asks for", ", clientCa: /ca.pem", "", "/routes/0/access/clientCertificate", 12, "no listener asks clients for a certificate"],
  ["a key that is not hashed", `partner, sha256: ${KEY}`, "partner, sha256: my-secret-key", "/routes/0/access/apiKeys/keys/0/sha256", 19, "must be the SHA-256 of the secret: 64 hexadecimal digits"],
  ["a key whose hash is cut off", `partner, sha256: ${KEY}`, `partner, sha256: ${KEY.slice(1)}`, "/routes/0/access/apiKeys/keys/0/sha256", 19, "64 hexadecimal digits"],
  ["the hash of no key at all", `partner, sha256: ${KEY}`, "partner, sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "/routes/0/access/apiKeys/keys/0/sha256", 19, "of an empty text"],
  ["one key of two consumers", OTHER, KEY.toUpperCase(), "/routes/0/access/apiKeys/keys/1/sha256", 20, "is already taken by /routes/0/access/apiKeys/keys/0"],
  ["no keys", `\n          - { name: partner, sha256: ${KEY} }\n          - { name: other, sha256: ${OTHER} }`, " []", "/routes/0/access/apiKeys/keys", 18, "at least 1 entry"],
  ["a key in a header that can have no such name", "X-Partner-Key", '"x key"', "/routes/0/access/apiKeys/header", 17, "must be 1 to 64 letters"],
  ["a key in a header of the proxy's own", "X-Partner-Key", "X-Forwarded-For", "/routes/0/access/apiKeys/header", 17, "belongs to the proxy"],
  ["key and token in one header", "X-Partner-Key", "Authorization", "/routes/0/access/jwt/header", 21, "is already taken by /routes/0/access/apiKeys/header"],
  ["password and token in one header", "      basic:\n", '      jwt: { keyFile: /k, issuer: us, audiences: [a] }\n      basic:\n', "/routes/1/access/jwt/header", 38, "is already taken by /routes/1/access/basic"],
  ["a realm that cannot be quoted", "The office", `'The "office"'`, "/routes/1/access/basic/realm", 39, "without quotes"],
  ["a user with a colon", "name: alice", 'name: "ali:ce"', "/routes/1/access/basic/users/0/name", 41, "neither a colon"],
  ["one user twice", "name: bot", "name: alice", "/routes/1/access/basic/users/1/name", 42, "is already taken by /routes/1/access/basic/users/0/name"],
  ["a password that is not hashed", SCRYPT, "correct horse", "/routes/1/access/basic/users/0/hash", 41, "must be $scrypt$ln=15,r=8,p=1$<salt>$<hash>"],
  ["a password's hash that is none", `sha256:${KEY}`, "sha256:1234", "/routes/1/access/basic/users/1/hash", 42, "64 hexadecimal digits"],
  ["scrypt that is too cheap", "ln=15", "ln=10", "/routes/1/access/basic/users/0/hash", 41, "ln must be from 14 to 17, got 10"],
  ["scrypt that is too dear", "ln=15,r=8,p=1", "ln=17,r=8,p=2", "/routes/1/access/basic/users/0/hash", 41, "costs too much"],
  ["scrypt of another width", "r=8", "r=32", "/routes/1/access/basic/users/0/hash", 41, "r must be 8"],
  ["scrypt with a short salt", "$c2FsdHNhbHRzYWx0$", "$c2Fs$", "/routes/1/access/basic/users/0/hash", 41, "the salt must have at least 8 bytes"],
  ["scrypt with a short hash", "$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo", "$aGFzaA", "/routes/1/access/basic/users/0/hash", 41, "from 16 to 64 bytes"],
  ["a token without keys", "jwks: https://id.example.com/jwks.json\n        ", "", "/routes/0/access/jwt/jwks", 21, 'key "jwks" is missing: where the keys are'],
  ["a token with keys of two places", "keyFile: /etc/evenkeel/key.pem", "keyFile: /etc/evenkeel/key.pem, secretFile: /s", "/routes/3/access/jwt/secretFile", 56, "keys come from one place"],
  ["keys that come in plain text", "https://id.example.com/jwks.json", "http://id.example.com/jwks.json", "/routes/0/access/jwt/jwks", 22, "must be https://"],
  ["keys at no URL", "https://id.example.com/jwks.json", "id.example.com", "/routes/0/access/jwt/jwks", 22, "must be a URL such as"],
  ["keys behind a password", "https://id.example.com/jwks.json", "https://a:b@id.example.com/", "/routes/0/access/jwt/jwks", 22, "must not hold credentials"],
  ["an unknown algorithm", "algorithms: [RS256]", "algorithms: [RS257]", "/routes/0/access/jwt/algorithms/0", 25, 'got "RS257"; did you mean "RS256"?'],
  ["algorithm none", "algorithms: [RS256]", "algorithms: [none]", "/routes/0/access/jwt/algorithms/0", 25, 'got "none"'],
  ["no algorithm", "algorithms: [RS256]", "algorithms: []", "/routes/0/access/jwt/algorithms", 25, "at least 1 entry"],
  ["a symmetric algorithm with public keys", "algorithms: [RS256]", "algorithms: [RS256, HS256]", "/routes/0/access/jwt/algorithms/1", 25, "HS256 needs a secret, and a public key is none"],
  ["a symmetric algorithm with a public key's file", "keyFile: /etc/evenkeel/key.pem", "keyFile: /k, algorithms: [HS512]", "/routes/3/access/jwt/algorithms/0", 56, "HS512 needs a secret"],
  ["an asymmetric algorithm with a secret", "secretFile: /etc/evenkeel/secret", "secretFile: /s, algorithms: [ES256]", "/routes/2/access/jwt/algorithms/0", 49, "ES256 needs a public key; with `secretFile` only HS256"],
  ["a token of anybody", "issuer: https://id.example.com/\n        ", "", "/routes/0/access/jwt/issuer", 21, 'key "issuer" is missing'],
  ["a token for anybody", "audiences: [api]\n        ", "", "/routes/0/access/jwt/audiences", 21, 'key "audiences" is missing'],
  ["a claim in a header that frames messages", "sub: X-User", "sub: Content-Length", "/routes/0/access/jwt/claimsToHeaders/sub", 26, '"content-length" belongs to the proxy'],
  ["two claims in one header", "x-roles", "x-user", "/routes/0/access/jwt/claimsToHeaders/https:~1~1example.com~1roles", 26, "is already taken by /routes/0/access/jwt/claimsToHeaders/sub"],
  ["a claim in the consumer's header", "consumerHeader: X-Consumer", "consumerHeader: x-user", "/routes/0/access/consumerHeader", 31, "is already taken"],
  ["a service's header that a claim has", "[X-Auth-Groups]", "[X-Roles]", "/routes/0/access/forwardAuth/responseHeaders/0", 30, "is already taken"],
  ["a service's header that frames messages", "[X-Auth-Groups]", "[Transfer-Encoding]", "/routes/0/access/forwardAuth/responseHeaders/0", 30, "belongs to the proxy"],
  ["a header for the service that the proxy writes", "requestHeaders: [cookie]", "requestHeaders: [x-forwarded-uri]", "/routes/0/access/forwardAuth/requestHeaders/0", 29, "belongs to the proxy"],
  ["a service at no URL", "http://auth.internal:4180/check", "auth.internal:4180/check", "/routes/0/access/forwardAuth/url", 28, "must be a URL such as http://auth.internal:4180/check"],
  ["a service behind a password", "http://auth.internal:4180/check", "http://u:p@auth.internal/", "/routes/0/access/forwardAuth/url", 28, "must not hold credentials"],
  ["a service with a fragment", "http://auth.internal:4180/check", '"http://auth.internal/#a"', "/routes/0/access/forwardAuth/url", 28, "fragment"],
  ["a burst of nothing", "burst: 20", "burst: 0", "/routes/0/rateLimit/burst", 32, "from 1 to"],
  ["a rate of nothing", "requests: 100,", "requests: 0,", "/routes/0/rateLimit/requests", 32, "from 1 to"],
  ["a rate that cannot be counted", "requests: 100,", "requests: 1000001,", "/routes/0/rateLimit/requests", 32, "at most 1000 per ms can be counted"],
  ["a bucket that takes a lifetime to fill", "perMs: 1000, burst: 20", "perMs: 3600000, burst: 100000", "/routes/0/rateLimit/burst", 32, "would take longer than 31 days"],
  ["a limit by header without the header", ", header: x-tenant", "", "/routes/1/rateLimit/header", 43, 'key "header" is missing'],
  ["a limit by client with a header", "requests: 5", "requests: 5, header: x-tenant", "/routes/2/rateLimit/header", 50, "key client has no use for it"],
  ["a limit by consumer where nobody says who it is", "key: header, header: x-tenant }\n  - name: machines\n    match: { path: /machines/* }\n    proxy: dynamic\n    pool: p\n    access:\n      jwt: { secretFile: /etc/evenkeel/secret, issuer: us, audiences: [\"*\"] }\n    rateLimit: { requests: 5 }", "key: header, header: x-tenant }\n  - name: machines\n    match: { path: /machines/* }\n    proxy: dynamic\n    pool: p\n    access: { deny: [10.0.0.0/8] }\n    rateLimit: { requests: 5, key: consumer }", "/routes/2/rateLimit/key", 49, "nobody says who the consumer is"],
];

const faultsOf = (text: string) => {
  const parsed = parseConfig(text, "broken.yaml");
  return parsed.ok ? [] : parsed.problems;
};

const parsedSound = parseConfig(SOUND, "sound.yaml");
const sound = (parsedSound.ok ? parsedSound.document : {}) as Parameters<typeof resolveConfig>[0];

describe("the rules for access", () => {
  test("have nothing against a sound configuration", () => {
    expect(faultsOf(SOUND)).toEqual([]);
  });

  test.each(BROKEN)("refuse %s", (_, from, to, path, line, part) => {
    expect(SOUND).toContain(from);
    const faults = faultsOf(SOUND.replace(from, to));
    expect(faults.map((fault) => [fault.path, fault.line])).toEqual([[path, line]]);
    expect(faults[0]?.message).toContain(part);
  });

  test("let a route of bytes have networks, and nothing else", () => {
    const route = (inside: string) =>
      `listeners: [{ name: db, protocol: tcp, port: 5432 }]
pools: [{ name: db, backends: [{ id: db-1, url: "tcp://10.0.0.1:5432" }] }]
routes:
  - { name: db, match: { listener: db }, proxy: dynamic, pool: db, ${inside} }
`;
    const own = (inside: string) =>
      faultsOf(route(inside)).filter(({ path }) => /access|rateLimit/.test(path));
    expect(own("access: { allow: [10.0.0.0/8], deny: [10.0.0.1/32] }")).toEqual([]);
    expect(
      own("access: { allow: [10.0.0.0/8], clientCertificate: {} }, rateLimit: { requests: 5 }"),
    ).toMatchObject([
      {
        path: "/routes/0/access/clientCertificate",
        line: 4,
        message: expect.stringContaining("no HTTP; only `allow`"),
      },
      { path: "/routes/0/rateLimit", line: 4, message: expect.stringContaining("no requests to count") },
    ]);
  });

  test("never repeat what may be a secret that was written in the wrong place", () => {
    const secret = "Tr0ub4dor-and-3-more";
    const text = SOUND.replaceAll(KEY, secret)
      .replace(SCRYPT, secret)
      .replace("http://auth.internal", `http://u:${secret}@a`);
    const messages = JSON.stringify(faultsOf(text).filter(({ path }) => !path.includes("fingerprints")));
    expect(messages).toContain("must be the SHA-256 of the secret");
    expect(messages).not.toContain(secret);
  });

  test("answer for whatever is missing, or in place of what it should be", () => {
    const visit = (at: object, put: (value: unknown) => object): void => {
      for (const [key, inside] of Object.entries(at)) {
        for (const value of [undefined, 7, [{}]]) {
          const document = put({ ...at, [key]: value });
          expect(() => validateConfig(document), `${key} = ${JSON.stringify(value)}`).not.toThrow();
        }
        if (typeof inside !== "object" || inside === null) continue;
        visit(inside, (value) => {
          const changed =
            Array.isArray(value) || !Array.isArray(inside) ? value : Object.values(value as object);
          return put(Array.isArray(at) ? at.with(Number(key), changed) : { ...at, [key]: changed });
        });
      }
    };
    visit(sound, (value) => value as object);
  });
});

describe("access, resolved", () => {
  const [partners, office, machines, files] = parsedSound.ok ? resolveConfig(sound).routes : [];

  test("has header names in lower case, and every default", () => {
    expect(partners?.access).toMatchObject({
      apiKeys: { header: "x-partner-key", forward: false },
      clientCertificate: { fingerprints: [KEY] },
      jwt: {
        source: { kind: "jwks", at: "https://id.example.com/jwks.json" },
        header: "authorization",
        claimsToHeaders: [
          { claim: "sub", header: "x-user" },
          { claim: "https://example.com/roles", header: "x-roles" },
        ],
        clockToleranceMs: 5_000,
        forward: true,
      },
      forwardAuth: {
        timeoutMs: 1_000,
        requestHeaders: ["cookie"],
        responseHeaders: ["x-auth-groups"],
        failOpen: false,
      },
      consumerHeader: "x-consumer",
    });
    expect(machines?.rateLimit).toEqual({ requests: 5, perMs: 1_000, burst: 5, key: "client", header: null });
  });

  test("has the algorithms that fit where the keys come from, and audiences only where they count", () => {
    expect(machines?.access?.jwt).toMatchObject({ algorithms: ["HS256"], audiences: null });
    expect(files?.access?.jwt).toMatchObject({ algorithms: ["RS256", "ES256"], audiences: ["files", "api"] });
  });

  test("has the parts of a password's hash", () => {
    expect(office?.access?.basic?.users).toEqual([
      {
        name: "alice",
        hash: {
          kind: "scrypt",
          ln: 15,
          r: 8,
          p: 1,
          salt: "c2FsdHNhbHRzYWx0",
          hash: "aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo",
        },
      },
      { name: "bot", hash: { kind: "sha256", hex: KEY } },
    ]);
  });
});
