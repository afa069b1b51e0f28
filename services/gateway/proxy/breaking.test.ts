import type { RouteDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it } from "vitest";
import {
  closedOrigin,
  documentFor,
  eventually,
  onRequestHead,
  send,
  sendRaw,
  startBackend,
  startGateway,
  startRawBackend,
} from "../test-support/data-path.ts";

const route: RouteDocument = { name: "all", match: {}, proxy: "dynamic", pool: "p" };
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** A gateway whose breakers open after three failed connects, for two seconds of a clock of its own. */
async function breaking(origins: string[], rules: Partial<RouteDocument> = { retries: 0 }) {
  const time = { ms: 1_000 };
  const pools = documentFor(origins).pools.map((pool) => ({
    ...pool,
    breaker: { failures: 3, openMs: 2_000 },
  }));
  const config = { pools, routes: [{ ...route, ...rules }] };
  return { ...(await startGateway(origins, config, { clock: () => time.ms })), time };
}

/** A backend at an origin where nothing was, that counts its connections. */
async function startAt(origin: string, answer = OK) {
  const seen = { connections: 0 };
  const port = Number(new URL(origin).port);
  await startRawBackend(
    (socket) => {
      seen.connections += 1;
      socket.on("data", () => socket.write(answer));
    },
    { port },
  );
  return seen;
}

describe("a breaker", () => {
  it("opens after so many failed connects, and then nothing is connected to until its time is over", async () => {
    const origin = await closedOrigin();
    const { url, time, scheduling, metric } = await breaking([origin]);
    for (let i = 0; i < 3; i += 1) {
      expect(await metric("evenkeel_gateway_breakers_opened_total", { pool: "p" })).toBe(0);
      expect((await send(url)).status).toBe(502);
    }
    expect(await metric("evenkeel_gateway_breakers_opened_total", { pool: "p" })).toBe(1);
    const backend = await startAt(origin);
    time.ms += 1_999;
    expect(await send(url)).toMatchObject({ status: 503, text: expect.stringContaining("failed too often") });
    expect(backend.connections).toBe(0);
    expect(scheduling.released.map(({ outcome }) => outcome)).toEqual([
      ...["failure", "failure", "failure", "canceled"],
    ]);
    time.ms += 1;
    for (let i = 0; i < 5; i += 1) expect((await send(url)).status).toBe(200);
    expect(backend.connections).toBe(1);
    expect(scheduling.held()).toBe(0);
  });

  it("that its single attempt finds no better opens again", async () => {
    const { url, time, metric } = await breaking([await closedOrigin()]);
    for (let i = 0; i < 3; i += 1) await send(url);
    time.ms += 2_000;
    expect((await send(url)).status).toBe(502);
    expect((await send(url)).status).toBe(503);
    expect(await metric("evenkeel_gateway_breakers_opened_total", { pool: "p" })).toBe(2);
  });

  it("closes with the answer's header section, however long the answer itself takes", async () => {
    const origin = await closedOrigin();
    const { url, port, time } = await breaking([origin]);
    for (let i = 0; i < 3; i += 1) await send(url);
    await startAt(origin, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart");
    time.ms += 2_000;
    const clients = ["/1", "/2"].map((path) => {
      const client = sendRaw(port, "");
      return { ask: () => client.socket.write(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`), client };
    });
    for (const { ask, client } of clients) {
      ask();
      await eventually(() => client.received().endsWith("part"), "a part of the answer");
    }
  });

  it("lets others have the requests, also where none is repeated, and without a loss to the budget of retries", async () => {
    const healthy = await startBackend((_, response) => void response.end("ok"));
    const { url, scheduling, metric } = await breaking([await closedOrigin(), healthy]);
    for (let i = 0; i < 3; i += 1) expect((await send(url)).status).toBe(502);
    for (let i = 0; i < 200; i += 1) expect((await send(url)).text).toBe("ok");
    expect(await metric("evenkeel_gateway_retry_budget_exhausted_total")).toBe(0);
    expect(scheduling.released.filter(({ outcome }) => outcome === "failure")).toHaveLength(3);
    expect(scheduling.held()).toBe(0);
  });

  it("holds a static route back, too", async () => {
    const healthy = await startBackend((_, response) => void response.end("ok"));
    const { url, scheduling } = await breaking([await closedOrigin(), healthy], {
      proxy: "static",
      backend: "b1",
    });
    for (let i = 0; i < 3; i += 1) expect((await send(url)).status).toBe(502);
    expect((await send(url)).status).toBe(503);
    expect(new Set(scheduling.picked)).toEqual(new Set(["b1"]));
  });

  it("opens where half of the attempts get no answer, and not for clients that leave", async () => {
    let behaviour: "hang" | "reset" = "hang";
    const origin = await startRawBackend((socket) =>
      onRequestHead(socket, () => {
        if (behaviour === "reset") socket.resetAndDestroy();
      }),
    );
    const spare = await startBackend((_, response) => void response.end("spare"));
    const { url, port, scheduling, metric } = await breaking([origin, spare]);
    for (let i = 0; i < 25; i += 1) {
      const client = sendRaw(port, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      await eventually(() => scheduling.held() === 1, "the pick");
      client.socket.resetAndDestroy();
      await eventually(() => scheduling.held() === 0, "the release");
    }
    const opened = () => metric("evenkeel_gateway_breakers_opened_total", { pool: "p" });
    expect(await opened()).toBe(0);
    behaviour = "reset";
    for (let i = 0; i < 20; i += 1) expect((await send(url)).status).toBe(502);
    expect(await opened()).toBe(1);
    expect((await send(url)).text).toBe("spare");
  });
});
