import { describe, expect, it } from "vitest";
import { BACKEND_SCHEMES } from "../config/backend-url.ts";
import { readAnswer, readRefusal } from "./answers.ts";

const BACKEND = {
  id: "a",
  url: "http://[::1]:9001",
  weight: 1,
  priority: 0,
  zone: null,
  maxInflight: null,
  inflight: 2,
  effectiveWeight: 0.5,
  health: "healthy",
  mode: "active",
  sinceMs: 90,
};
const POOL = { version: 7, backends: [BACKEND] };
const ANSWER = { status: "applied", resync: false, picks: ["a", null], version: 7 };
const read = (answer: unknown) => readAnswer(JSON.stringify(answer), 2);

describe("a scheduler's answer", () => {
  it.each([ANSWER, { ...ANSWER, pool: POOL }, { ...ANSWER, status: "stale", picks: [null, null] }])(
    "is taken as it came: %j",
    (answer) => {
      expect(read(answer)).toEqual(answer);
    },
  );

  it("is taken with what agents ask for", () => {
    const backends = [
      { ...BACKEND, agent: { weightPercent: 50, drain: false } },
      { ...BACKEND, agent: null },
    ];
    expect(read({ ...ANSWER, pool: { ...POOL, backends } })).toMatchObject({ pool: { backends } });
  });

  it.each(BACKEND_SCHEMES)("is taken with backends of %s://", (scheme) => {
    const pool = { ...POOL, backends: [{ ...BACKEND, url: `${scheme}://db.internal:5432` }] };
    expect(read({ ...ANSWER, pool })).toEqual({ ...ANSWER, pool });
  });

  it.each([
    null,
    [],
    7,
    { ...ANSWER, status: "done" },
    { ...ANSWER, resync: 0 },
    { ...ANSWER, picks: undefined },
    { ...ANSWER, picks: { length: 2 } },
    { ...ANSWER, picks: ["a"] },
    { ...ANSWER, picks: ["a", 2] },
    { ...ANSWER, version: "7" },
  ])("is refused when it has not the shape of one: %j", (answer) => {
    expect(read(answer)).toBeNull();
  });

  it.each([
    null,
    {},
    { ...POOL, version: null },
    { ...POOL, backends: {} },
    ...[
      null,
      { ...BACKEND, id: 1 },
      { ...BACKEND, sinceMs: null },
      { ...BACKEND, agent: 50 },
      { ...BACKEND, agent: { weightPercent: "50", drain: false } },
      { ...BACKEND, url: undefined },
      { ...BACKEND, url: "nonsense" },
      { ...BACKEND, url: "ftp://127.0.0.1:21" },
      { ...BACKEND, url: "http://::1:70000" },
      { ...BACKEND, url: "http://127.0.0.1:9001/path" },
      { ...BACKEND, weight: "1" },
      { ...BACKEND, priority: null },
      { ...BACKEND, zone: 3 },
      { ...BACKEND, maxInflight: "many" },
      { ...BACKEND, inflight: undefined },
      { ...BACKEND, effectiveWeight: null },
      { ...BACKEND, health: null },
      { ...BACKEND, mode: 0 },
    ].map((backend) => ({ ...POOL, backends: [BACKEND, backend] })),
  ])("is refused with a pool that cannot be used: %j", (pool) => {
    expect(read({ ...ANSWER, pool })).toBeNull();
  });

  it("is refused when it is no JSON", () => {
    expect(readAnswer("{", 2)).toBeNull();
  });
});

describe("a scheduler's refusal", () => {
  const REFUSAL = { status: 404, code: "unknown_pool", error: "no such pool" };

  it("is taken as it came", () => {
    expect(readRefusal(JSON.stringify(REFUSAL))).toEqual(REFUSAL);
  });

  it.each([
    "{",
    "null",
    "[]",
    ...["status", "code", "error"].map((field) => JSON.stringify({ ...REFUSAL, [field]: null })),
  ])("is none when it is %s", (text) => {
    expect(readRefusal(text)).toBeNull();
  });
});
