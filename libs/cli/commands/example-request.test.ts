import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { expect, test } from "vitest";
import { exampleRequest } from "./example-request.ts";

const GATEWAY = "http://127.0.0.1:8080";

const withRoutes = (...matches: { host?: string; path?: string }[]): ConfigDocument => ({
  listeners: [],
  routes: matches.map((match, i) => ({ name: `r${i}`, match, proxy: "dynamic", pool: "p" })),
  pools: [],
});

test.each([
  [{}, "curl -i http://127.0.0.1:8080/"],
  [{ path: "/api/*" }, "curl -i http://127.0.0.1:8080/api/"],
  [{ path: "/exact" }, "curl -i http://127.0.0.1:8080/exact"],
  [{ path: "/a&b'c/*" }, "curl -i 'http://127.0.0.1:8080/a&b'\\''c/'"],
  [
    { host: "shop.example.com", path: "/api/*" },
    "curl -i -H 'Host: shop.example.com' http://127.0.0.1:8080/api/",
  ],
  [{ host: "*.example.com" }, "curl -i -H 'Host: www.example.com' http://127.0.0.1:8080/"],
])("a request that the first route %j answers", (match, command) => {
  expect(exampleRequest(withRoutes(match, { path: "/other" }), GATEWAY)).toBe(command);
});

test("without routes there is nothing to try", () => {
  expect(exampleRequest(withRoutes(), GATEWAY)).toBeNull();
});
