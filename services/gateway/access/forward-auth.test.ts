import type { IncomingMessage, RequestListener } from "node:http";
import { describe, expect, it } from "vitest";
import { eventually } from "../test-support/data-path.ts";
import {
  type Asking,
  ask,
  askAtOnce,
  compile,
  createTestServices,
  requestOf,
  valueIn,
} from "./test-support/asking.ts";
import { startServer } from "./test-support/servers.ts";

async function setUp(handler: RequestListener, more: object = {}) {
  const asked: IncomingMessage[] = [];
  const server = await startServer((request, response) => {
    asked.push(request);
    handler(request, response);
  });
  const services = createTestServices();
  const forwardAuth = { url: `${server.url}/check?x=1`, responseHeaders: ["X-User", "x-groups"], ...more };
  return { asked, services, server, access: compile({ access: { forwardAuth } }, services) };
}

const yes: RequestListener = (_, response) =>
  response.writeHead(200, { "x-user": "alice", "x-other": "1" }).end("ignored");

const UNAVAILABLE = "evenkeel_gateway_access_unavailable_total";

describe("forward authentication", () => {
  it("tells the service what is asked for, by whom, and only the headers it is to see", async () => {
    const { access, asked } = await setUp(yes);
    const asking: Asking = {
      ...{ method: "POST", path: "/cart?id=1%2F2", client: "192.0.2.7" },
      headers: [
        ["Authorization", "Bearer t"],
        ["Cookie", "a=1"],
        ["Cookie", "b=2"],
        ["X-Secret", "s"],
        ["X-Forwarded-Uri", "/elsewhere"],
        ["Content-Length", "10"],
      ],
    };
    expect((await ask(access, asking)).refusal).toBeNull();
    const [request] = asked;
    expect(request?.method).toBe("GET");
    expect(request?.url).toBe("/check?x=1");
    expect(request?.headers).toMatchObject({
      "x-forwarded-method": "POST",
      "x-forwarded-proto": "http",
      "x-forwarded-host": "shop.example.com",
      "x-forwarded-uri": "/cart?id=1%2F2",
      "x-forwarded-for": "192.0.2.7",
      authorization: "Bearer t",
      cookie: "a=1; b=2",
    });
    expect(request?.headers).not.toHaveProperty("x-secret");
    expect(request?.headers["content-length"]).toBeUndefined();
  });

  it("says https for requests over TLS", async () => {
    const { access, asked } = await setUp(yes);
    await ask(access, { tls: true });
    expect(asked[0]?.headers["x-forwarded-proto"]).toBe("https");
  });

  it("believes only trusted proxies that TLS ended before them", async () => {
    const { access, asked } = await setUp(yes);
    const headers: [string, string][] = [["X-Forwarded-Proto", "https"]];
    await ask(access, { trusted: true, headers });
    await ask(access, { headers });
    await ask(access, { trusted: true, headers: [["X-Forwarded-Proto", "gopher"]] });
    expect(asked.map((request) => request.headers["x-forwarded-proto"])).toEqual(["https", "http", "http"]);
  });

  it("gives backends the headers of the service that are named, and never those of the client", async () => {
    const { access } = await setUp(yes);
    const { grant } = await ask(access, {
      headers: [
        ["X-User", "root"],
        ["X-Groups", "admin"],
        ["x_groups", "admin"],
      ],
    });
    expect(grant?.set).toEqual(["x-user", "x-user", "alice"]);
    expect(grant?.remove).toEqual(["x-user", "x-groups", "x_groups"]);
  });

  it("refuses with what the service answers: status, body byte for byte, and what a browser needs to go on", async () => {
    const page = Buffer.from("<p>gr\xfc\xdf Gott", "latin1");
    const { access } = await setUp((_, response) =>
      response
        .writeHead(302, {
          location: "https://login.example.com/",
          "set-cookie": ["a=1; HttpOnly", "b=2"],
          "content-type": "text/html; charset=iso-8859-1",
          "www-authenticate": "Bearer",
          "x-internal": "secret",
          connection: "close",
        })
        .end(page),
    );
    const { refusal } = await ask(access);
    expect(refusal).toMatchObject({ status: 302, body: page });
    expect(valueIn(refusal?.fields, "location")).toBe("https://login.example.com/");
    expect(valueIn(refusal?.fields, "content-type")).toBe("text/html; charset=iso-8859-1");
    expect(valueIn(refusal?.fields, "www-authenticate")).toBe("Bearer");
    expect(refusal?.fields.filter((_, i) => i % 3 === 2)).toEqual(
      expect.arrayContaining(["a=1; HttpOnly", "b=2"]),
    );
    expect(JSON.stringify(refusal)).not.toMatch(/internal|connection/i);
  });

  it.each([401, 403, 404, 429])("hands a refusal with %i on as it is", async (status) => {
    const { access } = await setUp((_, response) => response.writeHead(status).end("no"));
    expect((await ask(access)).refusal).toMatchObject({ status, body: Buffer.from("no") });
  });

  it("does not follow redirects by itself", async () => {
    const { access, asked } = await setUp((_, response) =>
      response.writeHead(307, { location: "/check" }).end(),
    );
    expect((await ask(access)).refusal?.status).toBe(307);
    expect(asked).toHaveLength(1);
  });

  const failures: [string, RequestListener][] = [
    ["does not answer in time", () => {}],
    [
      "answers half of it in time",
      (_, response) => void response.writeHead(200, { "content-length": 10 }).write("a"),
    ],
    ["closes the connection", (request) => void request.socket.destroy()],
    ["answers 500", (_, response) => void response.writeHead(500).end("stack trace")],
    ["answers more than 64 KiB", (_, response) => void response.writeHead(403).end("x".repeat(65 * 1024))],
  ];

  it.each(failures)(
    "refuses with 503 when the service %s, with a metric and one line",
    async (_, handler) => {
      const { access, services } = await setUp(handler, { timeoutMs: 100 });
      for (let i = 0; i < 2; i += 1) {
        const { refusal } = await ask(access);
        expect(refusal?.status).toBe(503);
        expect(refusal?.body).toBeNull();
      }
      expect(await services.metric(UNAVAILABLE, { check: "forward-auth" })).toBe(2);
      expect(services.logged).toHaveLength(1);
      expect(services.logged[0]).not.toContain("x=1");
    },
  );

  it.each(failures)(
    "lets requests pass when the service %s, where that is configured, and counts them",
    async (_, handler) => {
      const { access, services } = await setUp(handler, { timeoutMs: 100, failOpen: true });
      const { refusal, grant } = await ask(access, { headers: [["x-user", "root"]] });
      expect(refusal).toBeNull();
      expect(grant?.set).toEqual([]);
      expect(grant?.remove).toContain("x-user");
      expect(
        await services.metric("evenkeel_gateway_access_failed_open_total", { check: "forward-auth" }),
      ).toBe(1);
    },
  );

  it("refuses with 503 when nobody listens, and says so when the service is back", async () => {
    let broken = true;
    const { access, services } = await setUp(
      (_, response) => void response.writeHead(broken ? 503 : 204).end(),
    );
    expect((await ask(access)).refusal?.status).toBe(503);
    broken = false;
    expect((await ask(access)).refusal).toBeNull();
    expect(services.logged).toHaveLength(2);
    const { access: other, server } = await setUp(yes);
    await server.stop();
    expect((await ask(other)).refusal?.status).toBe(503);
  });

  it("tells once what came out, though the client may be gone by then", async () => {
    let answer = () => {};
    const { access, asked } = await setUp((_, response) => {
      answer = () => void response.writeHead(200).end();
    });
    let told = 0;
    access?.check(requestOf(), () => {
      told += 1;
    });
    await eventually(() => asked.length === 1, "the service is asked");
    expect(told).toBe(0);
    answer();
    await eventually(() => told === 1, "the verdict is told");
  });

  it("asks for each request anew: nothing is remembered", async () => {
    const { access, asked } = await setUp(yes);
    await ask(access);
    expect(askAtOnce(access)).toBeNull();
    await eventually(() => asked.length === 2, "the service is asked again");
  });
});
