import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createAdminApi } from "./admin-api.ts";
import { freePort } from "./supervisor/ports.ts";

let server: Server;
let url: string;
let seen: {
  method: string | undefined;
  path: string | undefined;
  authorization: string | undefined;
  body: string;
}[];
let answer: { status: number; body: unknown };

beforeEach(async () => {
  seen = [];
  answer = { status: 200, body: {} };
  server = createServer(async (request, response) => {
    const { method, url: path, headers } = request;
    seen.push({ method, path, authorization: headers.authorization, body: await textOf(request) });
    response.writeHead(answer.status, { "content-type": "application/json" });
    response.end(typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text;
}

const document = { listeners: [], routes: [], pools: [] };

test("asks the next scheduler when one cannot be reached", async () => {
  answer.body = { pools: [] };
  const dead = `http://127.0.0.1:${await freePort()}`;
  expect(await createAdminApi([dead, url], "").pools()).toEqual([]);
});

test("says which scheduler could not be reached, and why", async () => {
  const dead = `http://127.0.0.1:${await freePort()}`;
  await expect(createAdminApi([dead], "").pools()).rejects.toThrow(
    `no scheduler can be reached (${dead}: ECONNREFUSED)`,
  );
});

test("shows its token and sends the document", async () => {
  answer.body = { version: 4 };
  expect(await createAdminApi([url], "secret").apply(document)).toBe(4);
  expect(seen).toEqual([
    { method: "PUT", path: "/v1/config", authorization: "Bearer secret", body: JSON.stringify(document) },
  ]);
});

test("sends no authorization without a token, and no body with a mode", async () => {
  await createAdminApi([url], "").setMode("shop", "a/b", "drain");
  expect(seen).toEqual([
    { method: "POST", path: "/v1/pools/shop/backends/a%2Fb/drain", authorization: undefined, body: "" },
  ]);
});

test("a refusal carries its reason and every problem, and is not asked of another scheduler", async () => {
  const problems = [{ path: "/pools", message: "must be a list" }];
  answer = { status: 422, body: { error: "nothing is applied", problems } };
  await expect(createAdminApi([url, url], "").apply(document)).rejects.toMatchObject({
    status: 422,
    message: "nothing is applied",
    problems,
  });
  expect(seen).toHaveLength(1);
});

test("no applied configuration is no fault", async () => {
  answer = { status: 404, body: { error: "none" } };
  expect(await createAdminApi([url], "").config()).toBeNull();
});

test.each([
  [200, "<html>It works!</html>"],
  [200, {}],
  [200, null],
  [200, { pools: [{ pool: "shop", held: {} }] }],
  [404, "not found"],
  [404, { message: "no" }],
])("an answer that no scheduler gives (%i, %j) is told as such", async (status, body) => {
  answer = { status, body };
  await expect(createAdminApi([url], "").pools()).rejects.toThrow(`${url} is not an Evenkeel scheduler`);
});

test("a status from something in between is told with its address", async () => {
  answer = { status: 502, body: "<html>Bad Gateway</html>" };
  await expect(createAdminApi([url], "").pools()).rejects.toThrow(`${url} answers with status 502`);
});
