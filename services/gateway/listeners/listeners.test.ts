import type { ServerResponse } from "node:http";
import { Agent, request } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { resolveConfig } from "@evenkeel/core/config/resolve.ts";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import {
  documentFor,
  eventually,
  send,
  sendRaw,
  startBackend,
  startGateway,
} from "../test-support/data-path.ts";
import { answer, listenerOf, testOpeners } from "../test-support/http-listener.ts";
import { createListeners, RETRY_MS } from "./listeners.ts";

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

  it("still serves an idle connection on which a request was on its way, and says that it closes", async () => {
    const { url, port, dataPath } = await startGateway([await healthy()]);
    const client = sendRaw(port, get());
    await eventually(() => client.received().endsWith("ok"), "the first answer");
    const drained = dataPath.drain();
    await expect(send(url)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    client.socket.write(get());
    await drained;
    await eventually(client.closed, "the connection to close");
    expect(client.received().split("HTTP/1.1 200 OK")).toHaveLength(3);
    expect(client.received().toLowerCase().split("connection: close")).toHaveLength(2);
  });

  it("is over at once when no connection is open", async () => {
    const { dataPath } = await startGateway([await healthy()]);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    await dataPath.drain();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("accepts during the grace, and answers with a close from its beginning", async () => {
    const { url, port, dataPath } = await startGateway([await healthy()], {}, { drainGraceMs: 200 });
    const client = sendRaw(port, "");
    await eventually(() => !client.socket.connecting, "the connection");
    const drained = dataPath.drain();
    client.socket.write(get());
    expect((await send(url)).status).toBe(200);
    await eventually(client.closed, "the connection to close");
    expect(client.received().toLowerCase()).toContain("connection: close");
    await drained;
    await expect(send(url)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  it("does not cut an answer that has ended but waits for its client to read on", async () => {
    const body = Buffer.alloc(20 * 1024 * 1024, "x"); // more than the sockets hold
    const { openers } = testOpeners(({ incoming }) => answer(incoming, 200, body));
    const listeners = createListeners({ openers, portOffset: 0, closeDeadlineMs: 0, onFailing() {} });
    await listeners.configure([listenerOf()]);
    const port = Number(new URL(listeners.open()[0]?.url ?? "").port);
    const client = sendRaw(port, get());
    client.socket.once("data", () => client.socket.pause());
    const idle = sendRaw(port, "");
    await eventually(() => client.received() !== "", "the begin of the answer");
    const closed = listeners.close(0, 5_000);
    await eventually(idle.closed, "the idle connection to close");
    client.socket.resume();
    await closed;
    await eventually(client.closed, "the connection to close");
    expect(client.received().split("\r\n\r\n")[1]).toHaveLength(body.length);
  });

  it("waits for the requests of listeners that a configuration dropped before", async () => {
    const { origin, waiting } = await held();
    const { port, dataPath } = await startGateway([origin]);
    const client = sendRaw(port, get());
    await eventually(() => waiting.length === 1, "the request at the backend");
    await dataPath.configure(resolveConfig({ ...documentFor([origin]), listeners: [] }));
    let over = false;
    const drained = dataPath.drain().then(() => {
      over = true;
    });
    await expect(send(`http://127.0.0.1:${port}`)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    expect(over).toBe(false);
    waiting[0]?.end("late but whole");
    await drained;
    await eventually(client.closed, "the connection to close");
    expect(client.received()).toContain("late but whole");
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
    createListeners({ openers: testOpeners().openers, portOffset, closeDeadlineMs: 0, onFailing() {} });
  const listener = listenerOf();

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
    await listeners.close(0, 0);
  });

  it("is tried again until it opens, and is not while a later configuration does without it", async () => {
    const timers = vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const occupant = createServer();
    await new Promise<void>((resolve) => occupant.listen(0, "127.0.0.1", resolve));
    const { port } = occupant.address() as AddressInfo;
    const listeners = listenersWith(0);
    await listeners.configure([{ ...listener, port }]);
    await timers.advanceTimersByTimeAsync(RETRY_MS);
    await eventually(() => timers.getTimerCount() === 1, "the next try to be set");
    expect(listeners.failing()).toMatchObject([{ message: expect.stringContaining("in use") }]);
    await new Promise((resolve) => occupant.close(resolve));
    timers.advanceTimersByTime(RETRY_MS);
    await eventually(() => listeners.open().length === 1, "the listener to open");
    expect(listeners.failing()).toEqual([]);
    await listeners.configure([{ ...listener, address: "192.0.2.1" }]);
    expect(listeners.failing()).toHaveLength(1);
    await listeners.configure([]);
    expect(listeners.failing()).toEqual([]);
    expect(timers.getTimerCount()).toBe(0);
  });

  const bad = { name: "bad", protocol: "http" as const, port: 0, address: "192.0.2.1" };

  it("is why a gateway that has just started is not ready, also while others are open", async () => {
    const document = documentFor([]);
    const { dataPath } = await startGateway([], { listeners: [...document.listeners, bad] });
    expect(dataPath.notReady()).toContain('listener "bad" cannot open');
    await dataPath.configure(resolveConfig(document));
    expect(dataPath.notReady()).toBe(null);
  });

  it("is told by a metric, and makes no gateway that serves unready", async () => {
    const { dataPath, metric } = await startGateway([]);
    const document = documentFor([]);
    expect(dataPath.notReady()).toBe(null);
    await dataPath.configure(resolveConfig({ ...document, listeners: [...document.listeners, bad] }));
    expect(dataPath.notReady()).toBe(null);
    expect(await metric("evenkeel_gateway_listeners_failing")).toBe(1);
    await dataPath.configure(resolveConfig(document));
    expect(await metric("evenkeel_gateway_listeners_failing")).toBe(0);
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
    await listeners.close(0, 0);
  });
});
