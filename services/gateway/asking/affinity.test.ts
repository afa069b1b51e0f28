import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import type { PoolDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it } from "vitest";
import { fieldsFrom } from "../test-support/fields.ts";
import { createAffinity } from "./affinity.ts";

const SECRET = Buffer.from("of all gateways of this cluster");
const BACKENDS = ["shop-1", "shop.2"].map((id, i) => ({ id, url: `http://127.0.0.1:${9_001 + i}` }));

function setUp(affinity: PoolDocument["affinity"] = {}, name = "shop") {
  const state = { secret: SECRET as Buffer | null, forged: 0 };
  const { affinity: settings, ...pool } = resolvePool({ name, backends: BACKENDS, affinity: affinity ?? {} });
  if (!settings) throw new Error("no affinity");
  const options = { secret: () => state.secret, onForged: () => void state.forged++ };
  return { state, affinity: createAffinity(pool, settings, options) };
}

/** What a client sends back. */
const told = (setCookie: string | null) => ({ cookie: (setCookie as string).split(";", 1)[0] as string });

describe("session affinity", () => {
  it("is honoured by every gateway with the same secret, for each backend of the pool", () => {
    for (const { id } of BACKENDS) {
      const cookie = setUp().affinity.bind(id);
      expect(setUp().affinity.backendOf(fieldsFrom(told(cookie)))).toBe(id);
    }
  });

  it("sets a cookie that scripts and other sites do not get, until the browser is closed", () => {
    expect(setUp().affinity.bind("shop-1")).toMatch(
      /^evenkeel=shop-1\.[A-Za-z0-9_-]{22}; Path=\/; HttpOnly; SameSite=Lax$/,
    );
  });

  it("sets it under the name, for the time and only over TLS where that is asked for", () => {
    const cookie = setUp({ cookie: "sid", maxAgeS: 3_600, secure: true }).affinity.bind("shop-1");
    expect(cookie).toMatch(/^sid=shop-1\.\S+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=3600; Secure$/);
  });

  it("believes no cookie that was changed, signed for another pool or backend, or with another secret", () => {
    const { state, affinity } = setUp();
    const { cookie } = told(affinity.bind("shop-1"));
    const other = setUp();
    other.state.secret = Buffer.from("of another cluster altogether!!");
    const forgeries = [
      "evenkeel=shop-1",
      "evenkeel=",
      "evenkeel=shop-1.",
      cookie.replace("shop-1", "shop.2"),
      `${cookie}x`,
      `${cookie.slice(0, -1)}${cookie.endsWith("A") ? "B" : "A"}`,
      `${cookie.slice(0, -1)}é`,
      told(setUp({}, "billing").affinity.bind("shop-1")).cookie,
      told(other.affinity.bind("shop-1")).cookie,
    ];
    for (const forgery of forgeries)
      expect(affinity.backendOf(fieldsFrom({ cookie: forgery }))).toBeUndefined();
    expect(state.forged).toBe(forgeries.length);
    expect(affinity.backendOf(fieldsFrom({ cookie }))).toBe("shop-1");
  });

  it("believes the first true cookie among a few of its name, and one in double quotes", () => {
    const { state, affinity } = setUp();
    const [one, other] = BACKENDS.map(({ id }) => told(affinity.bind(id)).cookie);
    const bad = (times: number) => "evenkeel=bad; ".repeat(times);
    expect(affinity.backendOf(fieldsFrom({ cookie: `${bad(1)}${other}; ${one}` }))).toBe("shop.2");
    expect(state.forged).toBe(1);
    expect(affinity.backendOf(fieldsFrom({ cookie: `${bad(3)}${one}` }))).toBe("shop-1");
    expect(affinity.backendOf(fieldsFrom({ cookie: `${bad(4)}${one}` }))).toBeUndefined();
    expect(affinity.backendOf(fieldsFrom({ cookie: `${one?.replace("=", '="')}"` }))).toBe("shop-1");
    expect(affinity.backendOf(fieldsFrom({ cookie: `${one?.replace("=", '="')}` }))).toBeUndefined();
  });

  it("holds nothing against a cookie of a backend that has left the pool", () => {
    const { state, affinity } = setUp();
    const { cookie } = told(affinity.bind("shop-1"));
    expect(affinity.backendOf(fieldsFrom({ cookie: cookie.replace("shop-1", "shop-9") }))).toBeUndefined();
    expect(affinity.backendOf([])).toBeUndefined();
    expect(state.forged).toBe(0);
  });

  it("neither sets nor believes a cookie while the secret is not known, and follows a new one", () => {
    const { state, affinity } = setUp();
    const old = told(affinity.bind("shop-1"));
    state.secret = null;
    expect(affinity.bind("shop-1")).toBeNull();
    expect(affinity.backendOf(fieldsFrom(old))).toBeUndefined();
    expect(state.forged).toBe(0);
    state.secret = Buffer.from("that came with another Redis");
    expect(affinity.backendOf(fieldsFrom(old))).toBeUndefined();
    expect(affinity.backendOf(fieldsFrom(told(affinity.bind("shop-1"))))).toBe("shop-1");
  });
});
