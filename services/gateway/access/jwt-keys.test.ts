import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { eventually } from "../test-support/data-path.ts";
import { BELIEVED_MS } from "./jwt.ts";
import { COOLDOWN_MS, OLD_AFTER_MS, RETRY_AFTER_MS } from "./key-source.ts";
import { ask, compile, createTestServices, valueIn } from "./test-support/asking.ts";
import {
  bearing,
  CLAIMS,
  jwkOf,
  otherRsa,
  pem,
  rsa,
  SECRET,
  setUp,
  sign,
  writeKey,
} from "./test-support/tokens.ts";

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
