import { createHmac, generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SignJWT } from "jose";
import { describe, expect, it, onTestFinished } from "vitest";
import { eventually } from "../test-support/data-path.ts";
import { BELIEVED_MS } from "./jwt.ts";
import { COOLDOWN_MS, OLD_AFTER_MS, RETRY_AFTER_MS } from "./key-source.ts";
import { ask, askAtOnce, compile, createTestServices, START_MS, valueIn } from "./test-support/asking.ts";
import { startServer } from "./test-support/servers.ts";

const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const otherRsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const SECRET = "0123456789abcdef0123456789abcdef";

interface Claims {
  [name: string]: unknown;
}

const seconds = (ms: number) => Math.floor(ms / 1_000);
const CLAIMS = { iss: "https://id.example.com/", aud: "api", sub: "alice", exp: seconds(START_MS) + 3_600 };

const sign = (key: KeyObject | Uint8Array, header: { alg: string; kid?: string }, claims: Claims = {}) =>
  new SignJWT({ ...CLAIMS, ...claims }).setProtectedHeader(header).sign(key);

const jwkOf = ({ publicKey }: { publicKey: KeyObject }, more: object) => ({
  ...publicKey.export({ format: "jwk" }),
  ...more,
});

/** A server of keys that counts how often it is asked. */
async function startKeys(first: object[]) {
  const state = { keys: first, asked: 0, status: 200, body: null as string | null };
  const server = await startServer((_, response) => {
    state.asked += 1;
    response.writeHead(state.status).end(state.body ?? JSON.stringify({ keys: state.keys }));
  });
  return Object.assign(state, { url: `${server.url}/jwks.json`, stop: server.stop });
}

async function setUp(jwt: object = {}) {
  const keys = await startKeys([jwkOf(rsa, { kid: "r1", alg: "RS256" }), jwkOf(ec, { kid: "e1" })]);
  const services = createTestServices();
  const part = { jwks: keys.url, issuer: CLAIMS.iss, audiences: ["api", "web"], ...jwt };
  return { keys, services, access: compile({ access: { jwt: part } }, services) };
}

const bearing = (token: string, header = "Authorization", scheme = "Bearer ") => ({
  headers: [[header, `${scheme}${token}`]] as [string, string][],
});

function writeKey(text: string | Buffer): string {
  const directory = mkdtempSync(join(tmpdir(), "evenkeel-key-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, "key");
  writeFileSync(path, text);
  return path;
}

const part = (json: object) => Buffer.from(JSON.stringify(json)).toString("base64url");
const pem = ({ publicKey }: { publicKey: KeyObject }) =>
  publicKey.export({ format: "pem", type: "spki" }) as string;

describe("tokens", () => {
  it("pass with a key of the issuer's, by RSA and by elliptic curves", async () => {
    const { access } = await setUp();
    for (const token of [
      await sign(rsa.privateKey, { alg: "RS256", kid: "r1" }),
      await sign(rsa.privateKey, { alg: "RS256" }),
      await sign(ec.privateKey, { alg: "ES256", kid: "e1" }),
    ]) {
      expect((await ask(access, bearing(token))).refusal).toBeNull();
    }
  });

  it("put claims into headers, which clients cannot write themselves", async () => {
    const { access } = await setUp({
      claimsToHeaders: {
        sub: "X-User",
        roles: "x-roles",
        missing: "x-missing",
        deep: "x-deep",
        admin: "x-admin",
        age: "x-age",
        "a.b": "x-dotted",
        evil: "x-evil",
        list: "x-list",
      },
    });
    const claims = {
      roles: ["a", "b"],
      deep: { x: 1 },
      admin: true,
      age: 7,
      "a.b": "ü",
      evil: "a\r\nx-admin: 1",
      list: ["a,b"],
    };
    const token = await sign(rsa.privateKey, { alg: "RS256", kid: "r1" }, claims);
    const { headers } = bearing(token);
    const { grant } = await ask(access, {
      headers: [...headers, ["X-User", "root"], ["x_user", "root"], ["X_Missing", "1"], ["x_other", "1"]],
    });
    expect(grant?.set).toEqual([
      ...["x-user", "x-user", "alice", "x-roles", "x-roles", "a,b", "x-admin", "x-admin", "true"],
      ...["x-age", "x-age", "7", "x-dotted", "x-dotted", Buffer.from("ü").toString("latin1")],
    ]);
    expect(grant?.remove).toEqual(
      expect.arrayContaining(["x-user", "x-missing", "x-deep", "x-evil", "x-list", "x_user", "x_missing"]),
    );
    expect(grant?.remove).not.toContain("x_other");
    expect(grant?.remove).not.toContain("authorization");
  });

  it("do not reach backends where that is not wished", async () => {
    const { access } = await setUp({ forward: false });
    const { grant } = await ask(access, bearing(await sign(rsa.privateKey, { alg: "RS256", kid: "r1" })));
    expect(grant?.remove).toEqual(["authorization"]);
  });

  it("may stand in another header, with or without the scheme", async () => {
    const { access } = await setUp({ header: "X-Token" });
    const token = await sign(rsa.privateKey, { alg: "RS256", kid: "r1" });
    for (const scheme of ["", "Bearer ", "bEARER "])
      expect((await ask(access, bearing(token, "x-token", scheme))).refusal).toBeNull();
    expect((await ask(access, bearing(token))).refusal?.status).toBe(401);
  });

  it("are asked for when there is none", async () => {
    const { access } = await setUp();
    const refusal = askAtOnce(access, {})?.refusal;
    expect(refusal?.status).toBe(401);
    expect(valueIn(refusal?.fields, "www-authenticate")).toBe("Bearer");
  });

  it.each([
    ["of another scheme", "Basic YTpi"],
    ["that is empty", "Bearer "],
    ["of two parts", "Bearer a.b"],
    ["of five parts", "Bearer a.b.c.d.e"],
    ["of characters that no token has", "Bearer a.b.c$"],
    ["that holds no JSON", "Bearer YQ.Yg.Yw"],
    ["of 9 KiB", `Bearer ${"a".repeat(9 * 1024)}.b.c`],
    ["without a signature", `Bearer ${part({ alg: "none" })}.${part(CLAIMS)}.`],
    ["without a signature, in a spelling of none", `Bearer ${part({ alg: "NoNe" })}.${part(CLAIMS)}.YQ`],
    [
      "that asks for an unknown extension",
      `Bearer ${part({ alg: "RS256", crit: ["x"], x: 1 })}.${part(CLAIMS)}.YQ`,
    ],
  ])("%s are refused", async (_, authorization) => {
    const { access } = await setUp();
    const { refusal } = await ask(access, { headers: [["authorization", authorization]] });
    expect(refusal?.status).toBe(401);
    expect(valueIn(refusal?.fields, "www-authenticate")).toBe('Bearer error="invalid_token"');
  });

  it("two at once are refused, though both are valid", async () => {
    const { access } = await setUp();
    const { headers } = bearing(await sign(rsa.privateKey, { alg: "RS256", kid: "r1" }));
    expect((await ask(access, { headers: [...headers, ...headers] })).refusal?.status).toBe(401);
  });

  it.each([
    ["of another issuer", { iss: "https://id.example.com" }],
    ["for another audience", { aud: "other" }],
    ["for no audience", { aud: undefined }],
    ["that never expire", { exp: undefined }],
    ["that are not valid yet", { nbf: seconds(START_MS) + 60 }],
    ["with a time that is text", { exp: "tomorrow" }],
  ] as [string, Claims][])("%s are refused", async (_, claims) => {
    const { access } = await setUp();
    const token = await sign(rsa.privateKey, { alg: "RS256", kid: "r1" }, claims);
    expect((await ask(access, bearing(token))).refusal?.status).toBe(401);
  });

  it("that have expired are refused, and the client told why; within the tolerance they pass", async () => {
    const { access } = await setUp({ clockToleranceMs: 10_000 });
    const expired = (s: number) =>
      sign(rsa.privateKey, { alg: "RS256", kid: "r1" }, { exp: seconds(START_MS) - s });
    expect((await ask(access, bearing(await expired(9)))).refusal).toBeNull();
    const { refusal } = await ask(access, bearing(await expired(11)));
    expect(valueIn(refusal?.fields, "www-authenticate")).toContain('error_description="expired"');
  });

  it("signed by another's key are refused", async () => {
    const { access } = await setUp();
    for (const header of [{ alg: "RS256", kid: "r1" }, { alg: "RS256" }]) {
      const { refusal } = await ask(access, bearing(await sign(otherRsa.privateKey, header)));
      expect(refusal?.status).toBe(401);
    }
  });

  it("signed with the public key as a secret are refused, from a key set and from a file", async () => {
    const { access, services } = await setUp();
    const body = `${part({ alg: "HS256", kid: "r1" })}.${part(CLAIMS)}`;
    const byPem = `${body}.${createHmac("sha256", pem(rsa)).update(body).digest("base64url")}`;
    const jwt = { keyFile: writeKey(pem(rsa)), issuer: CLAIMS.iss, audiences: ["api"] };
    const fromFile = compile({ access: { jwt } }, services);
    for (const guarded of [access, fromFile])
      expect((await ask(guarded, bearing(byPem))).refusal?.status).toBe(401);
  });

  it("by an algorithm that is sound but not among those configured are refused", async () => {
    const { access } = await setUp({ algorithms: ["ES256"] });
    expect(
      (await ask(access, bearing(await sign(rsa.privateKey, { alg: "RS256", kid: "r1" })))).refusal?.status,
    ).toBe(401);
  });

  it("name no keys of their own: what they say of where keys are is not looked at", async () => {
    const { access } = await setUp();
    const theirs = await startKeys([jwkOf(otherRsa, { kid: "x" })]);
    const header = { alg: "RS256", jku: theirs.url, jwk: jwkOf(otherRsa, {}) } as { alg: string };
    expect((await ask(access, bearing(await sign(otherRsa.privateKey, header)))).refusal?.status).toBe(401);
    expect(theirs.asked).toBe(0);
  });

  it("are repeated in no refusal and no line of the log", async () => {
    const { access, services } = await setUp();
    const token = await sign(otherRsa.privateKey, { alg: "RS256", kid: "r1" }, { sub: "very-private" });
    const told = JSON.stringify([await ask(access, bearing(token)), services.logged]);
    expect(told).not.toContain(token.slice(0, 20));
    expect(told).not.toContain("very-private");
  });
});

describe("tokens that were verified", () => {
  it("pass at once, for a while, and never past their end", async () => {
    const { access, services } = await setUp({ clockToleranceMs: 0 });
    const token = await sign(rsa.privateKey, { alg: "RS256", kid: "r1" });
    await ask(access, bearing(token));
    expect(askAtOnce(access, bearing(token))?.refusal).toBeNull();
    services.advance(BELIEVED_MS);
    expect(askAtOnce(access, bearing(token))).toBeNull();
    const short = await sign(
      rsa.privateKey,
      { alg: "RS256", kid: "r1" },
      { exp: seconds(START_MS + BELIEVED_MS) + 5 },
    );
    await ask(access, bearing(short));
    services.advance(4_000);
    expect(askAtOnce(access, bearing(short))?.refusal).toBeNull();
    services.advance(2_000);
    expect((await ask(access, bearing(short))).refusal?.status).toBe(401);
  });

  it("are not believed by a route with other rules", async () => {
    const { access, services, keys } = await setUp();
    const token = await sign(rsa.privateKey, { alg: "RS256", kid: "r1" });
    await ask(access, bearing(token));
    const other = compile(
      { access: { jwt: { jwks: keys.url, issuer: CLAIMS.iss, audiences: ["admin"] } } },
      services,
    );
    expect((await ask(other, bearing(token))).refusal?.status).toBe(401);
  });
});

describe("the keys of tokens", () => {
  it("are asked for once, however many requests come", async () => {
    const { access, keys } = await setUp();
    const tokens = await Promise.all(
      Array.from({ length: 20 }, (_, i) => sign(rsa.privateKey, { alg: "RS256", kid: "r1" }, { n: i })),
    );
    const told = await Promise.all(tokens.map((token) => ask(access, bearing(token))));
    expect(told.every(({ refusal }) => refusal === null)).toBe(true);
    expect(keys.asked).toBe(1);
  });

  it("are asked for again when a token names one that is new, but not for each that names none", async () => {
    const { access, keys, services } = await setUp();
    const fresh = await sign(otherRsa.privateKey, { alg: "RS256", kid: "r2" });
    await ask(access, bearing(await sign(rsa.privateKey, { alg: "RS256", kid: "r1" })));
    keys.keys = [jwkOf(otherRsa, { kid: "r2" })];
    expect((await ask(access, bearing(fresh))).refusal?.status).toBe(401);
    expect(keys.asked).toBe(1);
    services.advance(COOLDOWN_MS.jwks);
    expect((await ask(access, bearing(fresh))).refusal).toBeNull();
    for (let i = 0; i < 10; i += 1)
      await ask(access, bearing(await sign(otherRsa.privateKey, { alg: "RS256", kid: `unknown-${i}` })));
    expect(keys.asked).toBe(2);
  });

  it("are those of another set once it is there: a withdrawn one does not pass any more", async () => {
    const { access, keys, services } = await setUp();
    const old = await sign(rsa.privateKey, { alg: "RS256", kid: "r1" });
    await ask(access, bearing(old));
    keys.keys = [jwkOf(otherRsa, { kid: "r2" })];
    services.advance(OLD_AFTER_MS.jwks);
    await ask(access, bearing(old)); // the last time, while newer ones are on their way
    await eventually(() => keys.asked === 2, "newer keys are asked for");
    await expect
      .poll(async () => {
        services.advance(BELIEVED_MS);
        return (await ask(access, bearing(old))).refusal?.status;
      })
      .toBe(401);
  });

  it("that fit a token without a name are tried, all of them", async () => {
    const { access, keys } = await setUp();
    keys.keys = [jwkOf(otherRsa, { kid: "a" }), jwkOf(rsa, { kid: "b" })];
    expect((await ask(access, bearing(await sign(rsa.privateKey, { alg: "RS256" })))).refusal).toBeNull();
    const strange = generateKeyPairSync("rsa", { modulusLength: 2_048 });
    expect(
      (await ask(access, bearing(await sign(strange.privateKey, { alg: "RS256" })))).refusal?.status,
    ).toBe(401);
  });

  it.each([
    ["nobody answers", async (keys: { stop(): Promise<void> }) => keys.stop()],
    ["the answer is an error", async (keys: { status: number }) => Object.assign(keys, { status: 500 })],
    [
      "the answer is no JSON",
      async (keys: { body: string | null }) => Object.assign(keys, { body: "<html>" }),
    ],
    [
      "the answer has no keys",
      async (keys: { body: string | null }) => Object.assign(keys, { body: '{"keys":[{}]}' }),
    ],
    [
      "the answer is endless",
      async (keys: { body: string | null }) => Object.assign(keys, { body: "x".repeat(300_000) }),
    ],
  ])("cannot be had when %s: 503, a metric and one line; asked again a while later", async (_, spoil) => {
    const { access, keys, services } = await setUp();
    await spoil(keys as never);
    const token = await sign(rsa.privateKey, { alg: "RS256", kid: "r1" });
    for (let i = 0; i < 5; i += 1) {
      const { refusal } = await ask(access, bearing(token));
      expect(refusal?.status).toBe(503);
      expect(valueIn(refusal?.fields, "retry-after")).toBe("1");
    }
    expect(keys.asked).toBeLessThanOrEqual(1);
    services.advance(RETRY_AFTER_MS);
    await ask(access, bearing(token));
    expect(await services.metric("evenkeel_gateway_access_unavailable_total", { check: "jwt" })).toBe(6);
    expect(services.logged).toHaveLength(1);
  });

  it("stay while newer ones cannot be had", async () => {
    const { access, keys, services } = await setUp();
    await ask(access, bearing(await sign(rsa.privateKey, { alg: "RS256", kid: "r1" })));
    await keys.stop();
    services.advance(OLD_AFTER_MS.jwks);
    const token = await sign(rsa.privateKey, { alg: "RS256", kid: "r1" }, { n: 2 });
    expect((await ask(access, bearing(token))).refusal).toBeNull();
    await eventually(() => services.logged.length === 1, "the outage is logged");
    expect(
      (await ask(access, bearing(await sign(rsa.privateKey, { alg: "RS256", kid: "r1" }, { n: 3 })))).refusal,
    ).toBeNull();
  });

  it.each([
    ["a public key", pem(rsa)],
    ["a key set", JSON.stringify({ keys: [jwkOf(rsa, { kid: "r1" })] })],
    ["one key of a set", JSON.stringify(jwkOf(rsa, {}))],
  ])("may be %s in a file", async (_, text) => {
    const services = createTestServices();
    const jwt = { keyFile: writeKey(text), issuer: CLAIMS.iss, audiences: ["*"] };
    const access = compile({ access: { jwt } }, services);
    const token = await sign(rsa.privateKey, { alg: "RS256" }, { aud: undefined });
    expect((await ask(access, bearing(token))).refusal).toBeNull();
  });

  it("of a file are read again after it has changed", async () => {
    const services = createTestServices();
    const keyFile = writeKey(pem(rsa));
    const access = compile(
      { access: { jwt: { keyFile, issuer: CLAIMS.iss, audiences: ["api"] } } },
      services,
    );
    await ask(access, bearing(await sign(rsa.privateKey, { alg: "RS256" })));
    writeFileSync(keyFile, pem(otherRsa));
    services.advance(COOLDOWN_MS.keyFile);
    expect(
      (await ask(access, bearing(await sign(otherRsa.privateKey, { alg: "RS256" })))).refusal,
    ).toBeNull();
  });

  it("may be a secret in a file, without the line's end that editors add", async () => {
    const services = createTestServices();
    const jwt = { secretFile: writeKey(`${SECRET}\r\n`), issuer: CLAIMS.iss, audiences: ["api"] };
    const access = compile({ access: { jwt } }, services);
    expect(
      (await ask(access, bearing(await sign(Buffer.from(SECRET), { alg: "HS256" })))).refusal,
    ).toBeNull();
    expect(
      (await ask(access, bearing(await sign(Buffer.from(`${SECRET}x`), { alg: "HS256" })))).refusal?.status,
    ).toBe(401);
  });

  it.each([
    ["is not there", "keyFile", null, "ENOENT"],
    [
      "holds a private key",
      "keyFile",
      rsa.privateKey.export({ format: "pem", type: "pkcs8" }),
      "only the public one belongs there",
    ],
    ["holds no key", "keyFile", "hello", "neither a public key nor a certificate"],
    ["holds a short secret", "secretFile", "hunter2", "at least 32 bytes"],
    ["is too long", "secretFile", "x".repeat(300_000), "is longer than"],
  ])("are none where the file %s; the log says so, without what it holds", async (_, kind, text, reason) => {
    const services = createTestServices();
    const path = text === null ? "/nonexistent/key" : writeKey(text);
    const access = compile(
      { access: { jwt: { [kind]: path, issuer: "i", audiences: ["a"] } as never } },
      services,
    );
    expect((await ask(access, bearing(await sign(rsa.privateKey, { alg: "RS256" })))).refusal?.status).toBe(
      503,
    );
    expect(services.logged.join()).toContain(reason);
    expect(services.logged.join()).not.toContain("hunter2");
    expect(services.logged.join()).not.toContain("MII");
  });
});
