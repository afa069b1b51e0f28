import type { TSchema } from "typebox";
import { Value } from "typebox/value";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ApiScene, settleBody, startApi } from "../test-support/api-scene.ts";
import { MemberListSchema, PoolListSchema, ReplySchema, ShownPoolSchema } from "./schemas.ts";

let scene: ApiScene;
beforeAll(async () => {
  scene = await startApi();
});
afterAll(() => scene.close());

describe("the OpenAPI document", () => {
  it("describes every route of the API", async () => {
    const { body } = await scene.ask("GET", "/openapi.json");
    expect(body.openapi).toMatch(/^3\./);
    const operations = Object.entries(body.paths as Record<string, object>).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(operations.toSorted()).toEqual([
      "delete /v1/notifications/dead/{id}",
      "delete /v1/pools/{pool}",
      "delete /v1/pools/{pool}/backends/{id}",
      "delete /v1/pools/{pool}/registrations/{id}",
      "delete /v1/routes/{name}",
      "get /v1/config",
      "get /v1/events",
      "get /v1/members",
      "get /v1/notifications/dead",
      "get /v1/pools",
      "get /v1/pools/{pool}",
      "get /v1/pools/{pool}/registrations",
      "get /v1/settle",
      "post /v1/notifications/dead/{id}/retry",
      "post /v1/pools/{pool}/backends/{id}/activate",
      "post /v1/pools/{pool}/backends/{id}/disable",
      "post /v1/pools/{pool}/backends/{id}/drain",
      "post /v1/pools/{pool}/settle",
      "put /v1/config",
      "put /v1/pools/{pool}",
      "put /v1/pools/{pool}/backends/{id}",
      "put /v1/pools/{pool}/registrations/{id}",
      "put /v1/routes/{name}",
    ]);
  });

  it("has what a client needs of each: a summary, the body, the answers", async () => {
    const { body } = await scene.ask("GET", "/openapi.json");
    const settle = body.paths["/v1/pools/{pool}/settle"].post;
    expect(settle.summary).toMatch(/\w/);
    expect(Object.keys(settle.requestBody.content["application/json"].schema.properties)).toContain("wants");
    expect(Object.keys(settle.responses)).toEqual(expect.arrayContaining(["200", "400", "404", "503"]));
    const config = body.paths["/v1/config"].put.requestBody.content["application/json"].schema;
    expect(Object.keys(config.properties)).toEqual(expect.arrayContaining(["listeners", "routes", "pools"]));
    expect(body.paths["/v1/pools/{pool}"].get.parameters).toEqual(
      expect.arrayContaining([expect.objectContaining({ name: "pool", in: "path" })]),
    );
  });

  it("tells the truth about the answers", async () => {
    const settled = await scene.settle(
      "shop",
      settleBody({ wants: [{}, { exclude: ["shop-1", "shop-2"] }] }),
    );
    const answers: [TSchema, unknown][] = [
      [ReplySchema, settled.body],
      [PoolListSchema, (await scene.ask("GET", "/v1/pools")).body],
      [ShownPoolSchema, (await scene.ask("GET", "/v1/pools/shop?rows=true")).body],
      [MemberListSchema, (await scene.ask("GET", "/v1/members")).body],
    ];
    for (const [schema, answer] of answers) {
      expect([...Value.Errors(schema, answer)]).toEqual([]);
    }
    const backend = (await scene.ask("GET", "/v1/pools/shop")).body.backends[0];
    const described = ShownPoolSchema.properties.backends.items.properties;
    expect(Object.keys(described).toSorted()).toEqual(Object.keys(backend).toSorted());
  });
});
