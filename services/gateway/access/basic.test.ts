import { createHash, scryptSync } from "node:crypto";
import { formatScrypt } from "@evenkeel/core/access/password-hash.ts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseLogin } from "./basic.ts";
import { type Asking, ask, askAtOnce, compile, createTestServices, valueIn } from "./test-support/asking.ts";

const unpadded = (bytes: Buffer) => bytes.toString("base64").replaceAll("=", "");

/** The cheapest that is allowed. */
function scryptOf(password: string): string {
  const salt = Buffer.from(`salt of ${password}`);
  const hash = scryptSync(password, salt, 32, { N: 2 ** 14, r: 8, p: 1 });
  return formatScrypt({ ln: 14, r: 8, p: 1, salt: unpadded(salt), hash: unpadded(hash) });
}

const sha256 = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`;
const USERS = [
  { name: "alice", hash: scryptOf("open:sesame") },
  { name: "Jürgen", hash: scryptOf("Größe ✓") },
  { name: "bot", hash: sha256("a-long-random-token") },
];

const encoded = (login: string | Buffer) => Buffer.from(login as string).toString("base64");
const saying = (authorization: string): Asking => ({ headers: [["Authorization", authorization]] });
const withLogin = (login: string | Buffer) => saying(`Basic ${encoded(login)}`);
const guarded = (services = createTestServices(), more: object = {}) =>
  compile({ access: { basic: { users: USERS, ...more }, consumerHeader: "x-user" } }, services);

describe("basic authentication", () => {
  it.each([
    ["a colon in the password", "alice:open:sesame", "alice"],
    ["UTF-8 in both", "Jürgen:Größe ✓", Buffer.from("Jürgen").toString("latin1")],
    ["a password of which only SHA-256 is stored", "bot:a-long-random-token", "bot"],
  ])("lets a user pass with %s", async (_, login, name) => {
    const { refusal, grant } = await ask(guarded(), withLogin(login));
    expect(refusal).toBeNull();
    expect(grant?.remove).toContain("authorization");
    expect(valueIn(grant?.set, "x-user")).toBe(name);
  });

  it("passes the password on only where that is asked for", async () => {
    const { grant } = await ask(
      guarded(createTestServices(), { forward: true }),
      withLogin("alice:open:sesame"),
    );
    expect(grant?.remove).not.toContain("authorization");
  });

  it.each([
    ["a wrong password", withLogin("alice:open")],
    ["another user's password", withLogin("alice:Größe ✓")],
    ["an unknown user", withLogin("mallory:open:sesame")],
    ["a user in another case", withLogin("Alice:open:sesame")],
    ["no password", withLogin("alice:")],
    ["nothing but a user", withLogin("alice")],
    ["no header", {}],
    ["another scheme", saying(`Bearer ${encoded("alice:open:sesame")}`)],
    ["a scheme alone", saying("Basic")],
    ["nothing after the scheme", saying("Basic ")],
    ["what is no base64", saying("Basic !!!!")],
    ["base64 with something behind it", saying(`Basic ${encoded("alice:open:sesame")} x`)],
    ["what is no UTF-8", withLogin(Buffer.from([0x61, 0x3a, 0xff, 0xfe]))],
    ["control characters", withLogin("alice:open:sesame\n")],
    ["a header of 9 KiB", saying(`Basic ${"A".repeat(9 * 1024)}`)],
    [
      "two headers",
      {
        headers: [
          ["authorization", `Basic ${encoded("alice:open:sesame")}`],
          ["Authorization", "Basic eA=="],
        ],
      },
    ],
  ] as [string, Asking][])("answers 401 with a challenge to %s", async (_, asking) => {
    const { refusal, grant } = await ask(guarded(), asking);
    expect(grant).toBeNull();
    expect(refusal?.status).toBe(401);
    expect(valueIn(refusal?.fields, "www-authenticate")).toBe('Basic realm="Restricted", charset="UTF-8"');
  });

  it("takes the scheme in any case", async () => {
    expect((await ask(guarded(), saying(`bASIC ${encoded("alice:open:sesame")}`))).refusal).toBeNull();
  });

  it("answers at once for a login it has verified a moment ago, right or wrong, and not for ever", async () => {
    const services = createTestServices();
    const access = guarded(services);
    for (const [login, status, forMs] of [
      ["alice:open:sesame", null, 300_000],
      ["alice:wrong", 401, 10_000],
    ] as const) {
      expect(askAtOnce(access, withLogin(login)), login).toBeNull();
      await ask(access, withLogin(login));
      expect(askAtOnce(access, withLogin(login))?.refusal?.status ?? null).toBe(status);
      services.advance(forMs);
      expect(askAtOnce(access, withLogin(login))).toBeNull();
    }
  });

  it("forgets what it verified when the hash has changed", async () => {
    const services = createTestServices();
    await ask(guarded(services), withLogin("alice:open:sesame"));
    const changed = guarded(services, { users: [{ name: "alice", hash: scryptOf("another") }] });
    expect((await ask(changed, withLogin("alice:open:sesame"))).refusal?.status).toBe(401);
  });

  it("repeats neither user nor password in a refusal", async () => {
    const told = JSON.stringify(await ask(guarded(), withLogin("mallory:hunter2")));
    expect(told).not.toMatch(/mallory|hunter2/);
  });

  it("reads back every login that can be written, and nothing from other text", () => {
    const text = fc.string({ unit: "grapheme" }).filter((one) => !/[\p{Cc}\p{Cs}]/u.test(one));
    const user = text.filter((one) => !one.includes(":"));
    fc.assert(
      fc.property(user, text, (name, password) => {
        expect(parseLogin(`Basic ${encoded(`${name}:${password}`)}`)).toEqual({ user: name, password });
      }),
      { seed: 33 },
    );
    fc.assert(
      fc.property(
        fc.string().filter((one) => !/^[A-Za-z0-9+/=]*$/.test(one.trim())),
        (anything) => {
          expect(parseLogin(`Basic ${anything}`)).toBeNull();
        },
      ),
      { seed: 34 },
    );
  });

  it("reads logins of any form without throwing", () => {
    for (let i = 0; i < 256; i += 1)
      parseLogin(`Basic ${Buffer.from([i, 0x3a, i, 255 - i]).toString("base64")}`);
    expect(parseLogin(`Basic ${encoded("a:")}`)).toEqual({ user: "a", password: "" });
    expect(parseLogin(`Basic ${encoded(":p")}`)).toEqual({ user: "", password: "p" });
  });
});
