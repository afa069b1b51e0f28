import { createServer as createHttpServer, type RequestListener } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { type Agent, askAgent } from "./ask-agent.ts";

const AMPLE_MS = 5_000;
const SHORT_MS = 80;

const opened: { server: Server; sockets: Set<Socket> }[] = [];

async function listen(server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
  });
  opened.push({ server, sockets });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const http = (handler: RequestListener) => listen(createHttpServer(handler));
const answering = (body: string, status = 200) =>
  http((_request, response) => response.writeHead(status).end(body));

afterEach(async () => {
  for (const { server, sockets } of opened.splice(0)) {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
});

const agent = (more: Partial<Agent> = {}): Agent => ({
  path: "/load",
  port: null,
  metrics: ["cpu", "queue"],
  ...more,
});
const told = (body: string) => answering(body).then((url) => askAgent(url, agent(), AMPLE_MS));

describe("asking an agent", () => {
  it("answers the metrics that were asked for, and no others", async () => {
    const report = await told('{"cpu": 0.25, "queue": -3, "memory": 1, "more": {"cpu": 9}}');
    expect(report).toEqual({ metrics: { cpu: 0.25, queue: -3 }, fault: null });
  });

  it("asks on the backend's port, or on the agent's own, for the path with its query", async () => {
    const asked: string[] = [];
    const url = await http((request, response) => {
      asked.push(`${request.method} ${request.url} of ${request.headers.host}`);
      response.end('{"cpu": 1, "queue": 1}');
    });
    const { port, host } = new URL(url);
    await askAgent(url, agent({ path: "/load?short" }), AMPLE_MS);
    const elsewhere = await askAgent("http://127.0.0.1:1", agent({ port: Number(port) }), AMPLE_MS);
    expect(elsewhere.metrics).toEqual({ cpu: 1, queue: 1 });
    expect(asked).toEqual([`GET /load?short of ${host}`, `GET /load of ${host}`]);
  });

  it.each([
    ["is missing", '{"cpu": 1}'],
    ["is text", '{"cpu": 1, "queue": "3"}'],
    ["is null", '{"cpu": 1, "queue": null}'],
    ["is nested", '{"cpu": 1, "queue": {"length": 3}}'],
    ["is more than a number holds", '{"cpu": 1, "queue": 1e999}'],
    ["is beyond reason", '{"cpu": 1, "queue": -1e13}'],
  ])("takes the rest where one %s, and says so", async (_, body) => {
    expect(await told(body)).toEqual({ metrics: { cpu: 1 }, fault: "no number for queue" });
  });

  it.each([
    ["text", "cpu=1", "not JSON"],
    ["nothing", "", "not JSON"],
    ["half an object", '{"cpu": 1', "not JSON"],
    ["nesting without end", "[".repeat(60_000), "not JSON"],
    ["a list", '[{"cpu": 1}]', "not a JSON object"],
    ["null", "null", "not a JSON object"],
    ["a number", "1", "not a JSON object"],
    ["what reaches for the prototype", '{"__proto__": {"cpu": 1, "queue": 1}}', "no number for cpu"],
  ])("takes nothing of %s", async (_, body, fault) => {
    expect(await told(body)).toEqual({ metrics: {}, fault });
  });

  it("takes a body of just 64 KiB and none that is larger, and closes the connection of one without end", async () => {
    const sized = (bytes: number) => '{"cpu": 1, "queue": 2}'.padEnd(bytes);
    expect((await told(sized(65_536))).fault).toBeNull();
    expect(await told(sized(65_537))).toEqual({ metrics: {}, fault: "more than 65536 bytes" });
    let closed = () => {};
    const closing = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const url = await http((_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(4_096, " "))) {}
      };
      response.on("drain", more);
      response.on("close", closed);
      more();
    });
    expect((await askAgent(url, agent(), AMPLE_MS)).fault).toBe("more than 65536 bytes");
    await closing;
  });

  it.each([204, 302, 404, 503])("takes nothing with status %i", async (status) => {
    const url = await answering(status === 204 ? "" : '{"cpu": 1, "queue": 1}', status);
    expect(await askAgent(url, agent(), AMPLE_MS)).toEqual({ metrics: {}, fault: `status ${status}` });
  });

  it("gives up on one that is slow, whether with headers or in the middle of the body", async () => {
    const silent = await listen(createServer());
    const halting = await http((_request, response) => response.write('{"cpu": 1, "queue": 2}'));
    for (const url of [silent, halting]) {
      expect(await askAgent(url, agent(), SHORT_MS)).toEqual({ metrics: {}, fault: "timeout" });
    }
  });

  it("says what went wrong with the connection", async () => {
    const reset = await listen(createServer((socket) => socket.on("data", () => socket.resetAndDestroy())));
    expect((await askAgent(reset, agent(), AMPLE_MS)).fault).toBe("ECONNRESET");
    const cut = await http((_request, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write('{"cpu": 1, "queue": 2}', () => response.destroy());
    });
    expect(await askAgent(cut, agent(), AMPLE_MS)).toEqual({ metrics: {}, fault: "ECONNRESET" });
    expect((await askAgent("http://127.0.0.1:1", agent(), AMPLE_MS)).fault).toBe("ECONNREFUSED");
  });
});
