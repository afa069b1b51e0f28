import type { ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { eventually, sendRaw, startBackend, startGateway } from "../test-support/data-path.ts";
import { MAX_WAITING } from "./connection.ts";

const get = (path = "/") => `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`;

/** A backend whose answers are given by the test. */
async function held() {
  const waiting: ServerResponse[] = [];
  const origin = await startBackend((_, response) => waiting.push(response));
  return { origin, waiting, paths: () => waiting.map(({ req }) => req.url) };
}

const healthy = () => startBackend((_, response) => response.end("ok"));

describe("requests on one connection", () => {
  it("are served one after the other, in their order", async () => {
    const { origin, waiting, paths } = await held();
    const { port, scheduling } = await startGateway([origin]);
    const put = "PUT /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na";
    const client = sendRaw(port, put + get("/2") + put.replace("1", "3"));
    for (const count of [1, 2, 3]) {
      await eventually(() => waiting.length === count, "the next request at the backend");
      expect(scheduling.held()).toBe(1);
      waiting[count - 1]?.end(`answer ${count}`);
    }
    await eventually(() => client.received().includes("answer 3"), "the last answer");
    expect(paths()).toEqual(["/1", "/2", "/3"]);
    expect(client.received()).toMatch(/answer 1.*answer 2.*answer 3/s);
  });

  it("that broke off do not take along the answers before them", async () => {
    const origin = await startBackend((incoming, response) => {
      if (incoming.url === "/whole") return void setImmediate(() => response.end("whole"));
      response.writeHead(200, { "content-length": 9 }).write("part");
      setImmediate(() => response.destroy());
    });
    const { port } = await startGateway([origin]);
    const client = sendRaw(port, get("/whole") + get("/cut"));
    await eventually(client.closed, "the connection to break");
    expect(client.received()).toContain("whole");
  });

  it("wait up to a bound: the last one within it ends the connection", async () => {
    const { origin, waiting } = await held();
    const { port, logged } = await startGateway([origin]);
    const client = sendRaw(port, get().repeat(1_000));
    for (let count = 1; count <= MAX_WAITING + 1; count += 1) {
      await eventually(() => waiting.length === count, "the next request at the backend");
      expect(client.received().toLowerCase()).not.toContain("connection: close");
      waiting[count - 1]?.end("ok");
    }
    await eventually(client.closed, "the connection to close");
    expect(waiting).toHaveLength(MAX_WAITING + 1);
    expect(logged.every(({ status }) => status === 200)).toBe(true);
  });

  it("that wait are forgotten when the client leaves", async () => {
    const { origin, waiting, paths } = await held();
    const { port, scheduling, logged } = await startGateway([origin]);
    const client = sendRaw(port, get().repeat(3));
    await eventually(() => waiting.length === 1, "the request at the backend");
    client.socket.resetAndDestroy();
    await eventually(() => logged.length === 1, "the end of the first request");
    expect(scheduling.released).toMatchObject([{ outcome: "canceled" }]);
    const later = sendRaw(port, get("/later"));
    await eventually(() => waiting.length === 2, "a request of another client");
    expect(paths()).toEqual(["/", "/later"]);
    later.socket.destroy();
  });

  it("after one that ends the connection are not begun", async () => {
    const { origin, waiting } = await held();
    const { port } = await startGateway([origin]);
    const client = sendRaw(port, get().replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n") + get("/never"));
    await eventually(() => waiting.length === 1, "the request at the backend");
    waiting[0]?.end("whole");
    await eventually(client.closed, "the connection to close");
    expect(client.received()).toContain("whole");
    expect(waiting).toHaveLength(1);
  });
});

describe("what is no request", () => {
  it.each([
    ["nonsense\r\n\r\n", 400],
    [`GET / HTTP/1.1\r\nHost: h\r\nX: ${"x".repeat(17_000)}\r\n\r\n`, 431],
    [`GET /${"x".repeat(17_000)} HTTP/1.1\r\nHost: h\r\n\r\n`, 431],
  ])("%.30j… is answered %i and the connection closed", async (text, status) => {
    const { port, metric } = await startGateway([await healthy()]);
    const client = sendRaw(port, text);
    await eventually(client.closed, "the connection to close");
    expect(client.received()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} .*\r\nconnection: close\r\n`));
    expect(await metric("evenkeel_gateway_requests_total", { route: "none", code_class: "4xx" })).toBe(1);
  });

  it("never mixes into an answer that has begun", async () => {
    const { origin, waiting } = await held();
    const { port } = await startGateway([origin]);
    const client = sendRaw(
      port,
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
    );
    await eventually(() => waiting.length === 1, "the request at the backend");
    waiting[0]?.write("begun");
    await eventually(() => client.received().includes("begun"), "the begin of the answer");
    client.socket.write("not a chunk size\r\n");
    await eventually(client.closed, "the connection to close");
    expect(client.received()).not.toContain("400");
  });

  it.each([
    ["its only request", ""],
    ["a waiting request, after the answer before it,", get("/first")],
  ])("in the body of %s is answered 400, as the fault of the client", async (_, before) => {
    const { origin, waiting } = await held();
    const { port, scheduling, metric } = await startGateway([origin]);
    const head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n";
    const client = sendRaw(port, before + head);
    await eventually(() => waiting.length === 1, "a request at the backend");
    client.socket.write("not a chunk size\r\n");
    if (before !== "") waiting[0]?.end("whole");
    await eventually(client.closed, "the connection to close");
    expect(client.received()).toMatch(before === "" ? /^HTTP\/1\.1 400 / : /whole.*HTTP\/1\.1 400 /s);
    expect(client.received().toLowerCase()).toContain("connection: close");
    expect(scheduling.released).toMatchObject([{ outcome: before === "" ? "canceled" : "success" }]);
    expect(await metric("evenkeel_gateway_requests_total", { code_class: "4xx" })).toBe(1);
  });

  it("after a whole request does not disturb its answer", async () => {
    const { origin, waiting } = await held();
    const { port } = await startGateway([origin]);
    const client = sendRaw(port, `${get()}nonsense\r\n\r\n`);
    await eventually(() => waiting.length === 1, "the request at the backend");
    waiting[0]?.end("whole");
    await eventually(client.closed, "the connection to close");
    expect(client.received()).toMatch(/200 OK.*whole.*HTTP\/1\.1 400 /s);
  });

  it("many small headers arrive, none is dropped silently", async () => {
    let count = 0;
    const origin = await startBackend((incoming, response) => {
      count = incoming.rawHeaders.filter((name) => name.startsWith("x-h")).length;
      response.end("ok");
    });
    const { port } = await startGateway([origin]);
    const many = Array.from({ length: 1_100 }, (_, i) => `x-h${i}: 1\r\n`).join("");
    const client = sendRaw(port, `GET / HTTP/1.1\r\nHost: h\r\n${many}\r\n`);
    await eventually(() => client.received().includes("\r\n\r\n"), "an answer");
    expect(client.received()).toContain("200 OK");
    expect(count).toBe(1_100);
  });
});
