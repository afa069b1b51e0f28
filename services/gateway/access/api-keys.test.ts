import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { type Asking, askAtOnce, compile, createTestServices, valueIn } from "./test-support/asking.ts";

const sha256 = (text: string | Buffer) => createHash("sha256").update(text).digest("hex");
const KEYS = [
  { name: "partner", sha256: sha256("k-partner") },
  { name: "partner", sha256: sha256("k-partner-new").toUpperCase() },
  { name: "umlaut", sha256: sha256("schlüssel") },
];

const keyed = (more: object = {}) =>
  compile(
    { access: { apiKeys: { keys: KEYS, ...more }, consumerHeader: "x-consumer" } },
    createTestServices(),
  );
const withKey = (value: string, name = "X-API-Key"): Asking => ({ headers: [[name, value]] });

describe("API keys", () => {
  it("let requests pass, and backends see whose key it was but not the key", () => {
    for (const key of ["k-partner", "k-partner-new"]) {
      const told = askAtOnce(keyed(), withKey(key));
      expect(told?.refusal).toBeNull();
      expect(told?.grant?.remove).toContain("x-api-key");
      expect(valueIn(told?.grant?.set, "x-consumer")).toBe("partner");
    }
  });

  it("are passed on where that is asked for", () => {
    expect(askAtOnce(keyed({ forward: true }), withKey("k-partner"))?.grant?.remove).not.toContain(
      "x-api-key",
    );
  });

  it("stand in the header that is configured, whatever its case", () => {
    const access = keyed({ header: "X-Partner-Key" });
    expect(askAtOnce(access, withKey("k-partner", "x-PARTNER-key"))?.refusal).toBeNull();
    expect(askAtOnce(access, withKey("k-partner"))?.refusal?.status).toBe(401);
  });

  it("are compared as the bytes that were sent", () => {
    const utf8 = Buffer.from("schlüssel", "utf8").toString("latin1");
    expect(askAtOnce(keyed(), withKey(utf8))?.refusal).toBeNull();
  });

  it.each([
    ["there is none", { headers: [] }],
    ["it is empty", withKey("")],
    ["it is another one", withKey("k-partnes")],
    ["it is the hash itself", withKey(sha256("k-partner"))],
    ["it is longer than 8 KiB", withKey("k".repeat(8 * 1024 + 1))],
    [
      "there are two, though both are valid",
      {
        headers: [
          ["x-api-key", "k-partner"],
          ["X-Api-Key", "k-partner-new"],
        ],
      },
    ],
  ] as [string, Asking][])("answer 401 with a challenge when %s", (_, asking) => {
    const refusal = askAtOnce(keyed(), asking)?.refusal;
    expect(refusal?.status).toBe(401);
    expect(valueIn(refusal?.fields, "www-authenticate")).toBe('ApiKey header="x-api-key"');
  });

  it("are compared whole even where the hash of another begins alike", () => {
    const near = sha256("k-partner").slice(0, 8) + "0".repeat(56);
    const part = {
      access: { apiKeys: { keys: [{ name: "near", sha256: near }, ...KEYS] }, consumerHeader: "x-c" },
    };
    const told = askAtOnce(compile(part, createTestServices()), withKey("k-partner"));
    expect(valueIn(told?.grant?.set, "x-c")).toBe("partner");
    const alone = { access: { apiKeys: { keys: [{ name: "near", sha256: near }] } } };
    expect(askAtOnce(compile(alone, createTestServices()), withKey("k-partner"))?.refusal?.status).toBe(401);
  });

  it("are repeated in no refusal", () => {
    const told = askAtOnce(keyed(), withKey("my-mistyped-key"));
    expect(JSON.stringify(told)).not.toContain("my-mistyped-key");
  });
});
