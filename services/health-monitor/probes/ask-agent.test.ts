import { afterEach, describe, expect, it } from "vitest";
import { closeAll, http, tcp } from "../test-support/servers.ts";
import { type Agent, prepareAgent } from "./ask-agent.ts";

const AMPLE_MS = 5_000;
const SHORT_MS = 80;

const answering = (body: string, status = 200) =>
  http((_request, response) => response.writeHead(status).end(body));

afterEach(closeAll);

const agent = (more: Partial<Agent> = {}): Agent => ({
  path: "/load",
  port: null,
  metrics: ["cpu", "queue"],
  weight: null,
  drain: null,
  ...more,
});
const askAgent = (url: string, asked: Agent, timeoutMs: number) => prepareAgent(url, asked, null)(timeoutMs);
const told = (body: string) => answering(body).then((url) => askAgent(url, agent(), AMPLE_MS));

describe("asking an agent", () => {
  it("answers the metrics that were asked for, and no others", async () => {
    const report = await told('{"cpu": 0.25, "queue": -3, "memory": 1, "more": {"cpu": 9}}');
    expect(report).toEqual({ metrics: { cpu: 0.25, queue: -3 }, wish: null, fault: null });
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
    expect(await told(body)).toEqual({ metrics: { cpu: 1 }, wish: null, fault: "no number for queue" });
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
    expect(await told(body)).toEqual({ metrics: {}, wish: null, fault });
  });

  it("takes a body of just 64 KiB and none that is larger, and closes the connection of one without end", async () => {
    const sized = (bytes: number) => '{"cpu": 1, "queue": 2}'.padEnd(bytes);
    expect((await told(sized(65_536))).fault).toBeNull();
    expect(await told(sized(65_537))).toEqual({ metrics: {}, wish: null, fault: "more than 65536 bytes" });
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
    expect(await askAgent(url, agent(), AMPLE_MS)).toEqual({
      metrics: {},
      wish: null,
      fault: `status ${status}`,
    });
  });

  it("gives up on one that is slow, whether with headers or in the middle of the body", async () => {
    const silent = await tcp();
    const halting = await http((_request, response) => response.write('{"cpu": 1, "queue": 2}'));
    for (const url of [silent, halting]) {
      expect(await askAgent(url, agent(), SHORT_MS)).toEqual({ metrics: {}, wish: null, fault: "timeout" });
    }
  });

  it("says what went wrong with the connection", async () => {
    const reset = await tcp((socket) => socket.on("data", () => socket.resetAndDestroy()));
    expect((await askAgent(reset, agent(), AMPLE_MS)).fault).toBe("ECONNRESET");
    const cut = await http((_request, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write('{"cpu": 1, "queue": 2}', () => response.destroy());
    });
    expect(await askAgent(cut, agent(), AMPLE_MS)).toEqual({ metrics: {}, wish: null, fault: "ECONNRESET" });
    expect((await askAgent("http://127.0.0.1:1", agent(), AMPLE_MS)).fault).toBe("ECONNREFUSED");
  });

  it.each([
    ['{"w": 40, "d": 0}', { weightPercent: 40, drain: false }, null],
    ['{"w": 0, "d": -1}', { weightPercent: 0, drain: true }, null],
    ['{"w": 100.5, "d": 1}', { weightPercent: 100, drain: true }, "w is not from 0 to 100"],
    ['{"w": -1, "d": "no"}', null, "no number for d"],
    ['{"d": 1}', { weightPercent: 100, drain: true }, "no number for w"],
    ['{"w": 25}', { weightPercent: 25, drain: false }, "no number for d"],
    ["{}", null, "no number for w"],
  ])("reads of %s what the backend wishes", async (body, wish, fault) => {
    const asked = agent({ metrics: [], weight: "w", drain: "d" });
    expect(await askAgent(await answering(body), asked, AMPLE_MS)).toEqual({ metrics: {}, wish, fault });
  });

  it("reads a wish beside metrics, and none where none is asked for", async () => {
    const url = await answering('{"cpu": 1, "queue": 2, "w": 30, "d": 1}');
    const metrics = { cpu: 1, queue: 2 };
    const reports = [agent(), agent({ weight: "w" }), agent({ drain: "d" })].map(async (asked) =>
      askAgent(url, asked, AMPLE_MS),
    );
    expect(await Promise.all(reports)).toEqual([
      { metrics, wish: null, fault: null },
      { metrics, wish: { weightPercent: 30, drain: false }, fault: null },
      { metrics, wish: { weightPercent: 100, drain: true }, fault: null },
    ]);
  });
});
