import type { DeadLetter } from "@evenkeel/core/wire/dead-letter.ts";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ApiScene, startApi } from "../test-support/api-scene.ts";

let scene: ApiScene;
beforeEach(async () => {
  scene = await startApi();
});
afterEach(() => scene.close());

const letter = (n: number): Omit<DeadLetter, "id"> => ({
  webhook: "pager",
  event: {
    ...{ id: `shop/${n}-0`, pool: "shop", version: n, atMs: n, at: new Date(n).toISOString() },
    ...{ type: "panic", on: true },
  },
  messageId: `evt_${n}`,
  attempts: 8,
  reason: "status 500",
  failedAtMs: n,
});

const dead = (path = "", method = "GET", headers = {}) =>
  scene.ask(method, `/v1/notifications/dead${path}`, undefined, headers);

describe("/v1/notifications/dead", () => {
  beforeEach(async () => {
    for (const n of [1, 2, 3]) await scene.deadLetters.add(letter(n));
  });

  it("lists what nobody took, the newest first", async () => {
    const { body } = await dead("?limit=2");
    expect(body).toMatchObject({ size: 3, retrying: 0 });
    expect(body.letters).toEqual([
      { ...letter(3), id: "3-0" },
      { ...letter(2), id: "2-0" },
    ]);
  });

  it("hands one back to be sent again, or all", async () => {
    expect((await dead("/2-0/retry", "POST")).body).toEqual({ count: 1 });
    expect(scene.deadLetters.retrying.map(({ id }) => id)).toEqual(["2-0"]);
    expect((await dead("/all/retry", "POST")).body).toEqual({ count: 2 });
    expect((await dead()).body).toEqual({ letters: [], size: 0, retrying: 3 });
  });

  it("removes one, or all", async () => {
    expect((await dead("/2-0", "DELETE")).body).toEqual({ count: 1 });
    expect((await dead()).body.letters.map(({ id }: DeadLetter) => id)).toEqual(["3-0", "1-0"]);
    expect((await dead("/all", "DELETE")).body).toEqual({ count: 2 });
    expect((await dead("/all", "DELETE")).body).toEqual({ count: 0 });
  });

  it.each([
    ["POST", "/9-9/retry", 404, "unknown_letter"],
    ["DELETE", "/9-9", 404, "unknown_letter"],
    ["DELETE", "/everything", 400, "invalid_request"],
  ])("refuses %s %s", async (method, path, status, code) => {
    expect(await dead(path, method)).toMatchObject({ status, body: { code } });
  });

  it("lets only those change it who may change the cluster", async () => {
    for (const [method, path] of [
      ["POST", "/all/retry"],
      ["DELETE", "/all"],
    ] as const)
      expect((await dead(path, method, { origin: "http://evil.example" })).status).toBe(403);
    expect((await dead()).body.size).toBe(3);
  });
});
