import type { ServerResponse } from "node:http";
import { Agent, request } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { resolveConfig } from "@evenkeel/core/config/resolve.ts";
import { describe, expect, it } from "vitest";
import {
  documentFor,
  eventually,
  send,
  sendRaw,
  startBackend,
  startGateway,
} from "../test-support/data-path.ts";
import { createListeners } from "./listeners.ts";

const get = (path = "/") => `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`;

/** A backend whose answers are given by the test. */
async function held() {
  const waiting: ServerResponse[] = [];
  const origin = await startBackend((_, response) => waiting.push(response));
  return { origin, waiting };
}

const healthy = () => startBackend((_, response) => response.end("ok"));

describe("drain", () => {
  it("lets requests in flight end, on connections that then close, and takes no new one", async () => {
    const { origin, waiting } = await held();
    const { port, dataPath, scheduling } = await startGateway([origin]);
    const client = sendRaw(port, get());
    const idle = sendRaw(port, "");
    await eventually(() => waiting.length === 1, "the request at the backend");
    const drained = dataPath.drain();
    expect(dataPath.notReady()).toBe("draining");
    await eventually(idle.closed, "the idle connection to close");
    await expect(send(`http://127.0.0.1:${port}`)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    expect(client.closed()).toBe(false);
    waiting[0]?.end("late but whole");
    await drained;
    await eventually(client.closed, "the connection to close");
    expect(client.received()).toContain("late but whole");
    expect(client.received().toLowerCase()).toContain("connection: close");
    expect(scheduling.released).toMatchObject([{ outcome: "success" }]);
  });

  it("closes a connection whose answer had begun before", async () => {
    const { origin, waiting } = await held();
    const { port, dataPath } = await startGateway([origin]);
    const client = sendRaw(port, get());
    await eventually(() => waiting.length === 1, "the request at the backend");
    waiting[0]?.write("first ");
    await eventually(() => client.received().includes("first"), "the begin of the answer");
    const drained = dataPath.drain();
    waiting[0]?.end("last");
    await drained;
    await eventually(client.closed, "the connection to close");
    expect(client.received()).toContain("last");
  });

  it("cuts off at the deadline what does not end, as canceled", async () => {
    const { origin, waiting } = await held();
    const { port, dataPath, scheduling } = await startGateway([origin], {}, { drainDeadlineMs: 50 });
    const client = sendRaw(port, get());
    await eventually(() => waiting.length === 1, "the request at the backend");
    await dataPath.drain();
    await eventually(client.closed, "the connection to close");
    expect(scheduling.released).toMatchObject([{ outcome: "canceled" }]);
  });
});

describe("a new configuration", () => {
  it("leaves an unchanged listener and its connections alone, and takes effect on them", async () => {
    const { url, port, dataPath } = await startGateway([await healthy()]);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const fetch = () =>
      new Promise<[number, number]>((resolve, reject) => {
        const outgoing = request(url, { agent }, (response) => {
          const from = response.socket.localPort ?? 0;
          response.resume().on("end", () => resolve([response.statusCode ?? 0, from]));
        });
        outgoing.on("error", reject);
        outgoing.end();
      });
    const [before, connection] = await fetch();
    const document = documentFor([]);
    expect(await dataPath.configure(resolveConfig({ ...document, routes: [] }))).toEqual([]);
    expect(dataPath.listeners()[0]?.url).toBe(`http://127.0.0.1:${port}`);
    expect([before, await fetch()]).toEqual([200, [404, connection]]);
    agent.destroy();
  });

  it("opens new listeners and closes missing ones when their requests have ended", async () => {
    const { origin, waiting } = await held();
    const { port, dataPath } = await startGateway([origin]);
    const client = sendRaw(port, get());
    await eventually(() => waiting.length === 1, "the request at the backend");
    const document = documentFor([origin]);
    const listeners = [{ name: "other", protocol: "http" as const, port: 0, address: "127.0.0.1" }];
    await dataPath.configure(resolveConfig({ ...document, listeners }));
    expect(dataPath.listeners().map(({ name }) => name)).toEqual(["other"]);
    await expect(send(`http://127.0.0.1:${port}`)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    waiting[0]?.end("still answered");
    await eventually(client.closed, "the old connection to close");
    expect(client.received()).toContain("still answered");
    const later = send(dataPath.listeners()[0]?.url ?? "");
    await eventually(() => waiting.length === 2, "the request through the new listener");
    waiting[1]?.end("new");
    expect((await later).text).toBe("new");
  });

  it("that only drops a pool does not disturb what is in flight there", async () => {
    const { origin, waiting } = await held();
    const { url, dataPath, scheduling } = await startGateway([origin]);
    const answer = send(url);
    await eventually(() => waiting.length === 1, "the request at the backend");
    await dataPath.configure(resolveConfig({ ...documentFor([]), pools: [], routes: [] }));
    waiting[0]?.end("finished");
    expect((await answer).text).toBe("finished");
    expect(scheduling.held()).toBe(0);
  });

  it("drops the series of routes that are gone", async () => {
    const { url, dataPath, metric } = await startGateway([await healthy()]);
    await send(url);
    expect(await metric("evenkeel_gateway_requests_total", { route: "all" })).toBe(1);
    const document = documentFor([]);
    await dataPath.configure(resolveConfig({ ...document, routes: [] }));
    expect(await metric("evenkeel_gateway_requests_total", { route: "all" })).toBe(0);
    expect(await metric("evenkeel_gateway_request_duration_seconds", { route: "all" })).toBe(0);
  });

  it("without listeners that can open leaves the gateway not ready", async () => {
    const { dataPath } = await startGateway([], { listeners: [] });
    expect(dataPath.notReady()).toBe("no listener is open");
  });
});

describe("a listener that cannot open", () => {
  const listenersWith = (portOffset: number) =>
    createListeners({ handle: () => {}, onRefused: () => {}, portOffset, closeDeadlineMs: 0 });
  const listener = { name: "web", protocol: "http" as const, port: 0, address: "127.0.0.1" };

  it("is named with its port and with what to do, and opens with a later configuration", async () => {
    const occupant = createServer();
    await new Promise<void>((resolve) => occupant.listen(0, "127.0.0.1", resolve));
    const { port } = occupant.address() as AddressInfo;
    const listeners = listenersWith(1);
    const wanted = [{ ...listener, port: port - 1 }];
    const [error] = await listeners.configure(wanted);
    expect(error?.message).toContain(`listener "web" cannot open port ${port} on 127.0.0.1: it is in use`);
    expect(error?.message).toContain("EVENKEEL_PORT_OFFSET");
    expect(listeners.open()).toEqual([]);
    await new Promise((resolve) => occupant.close(resolve));
    expect(await listeners.configure(wanted)).toEqual([]);
    expect(listeners.open()).toEqual([{ name: "web", url: `http://127.0.0.1:${port}` }]);
    await listeners.close(0);
  });

  it.each([
    [{ ...listener, port: 65_535 }, 10, "there is no such port"],
    [{ ...listener, address: "192.0.2.1" }, 0, "this machine does not have the address"],
  ])("is explained: %o with offset %i", async (wanted, offset, reason) => {
    const [error] = await listenersWith(offset).configure([wanted]);
    expect(error?.message).toContain(reason);
  });

  it("does not keep the others from opening", async () => {
    const listeners = listenersWith(0);
    const errors = await listeners.configure([{ ...listener, name: "bad", address: "192.0.2.1" }, listener]);
    expect(errors).toHaveLength(1);
    expect(listeners.open()).toMatchObject([{ name: "web" }]);
    await listeners.close(0);
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
