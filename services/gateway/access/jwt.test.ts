import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { BELIEVED_MS } from "./jwt.ts";
import { ask, askAtOnce, compile, START_MS, valueIn } from "./test-support/asking.ts";
import {
  bearing,
  CLAIMS,
  type Claims,
  ec,
  jwkOf,
  otherRsa,
  part,
  pem,
  rsa,
  seconds,
  setUp,
  sign,
  startKeys,
  writeKey,
} from "./test-support/tokens.ts";

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
