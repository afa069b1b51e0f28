import type { Socket } from "node:net";
import type { PoolDocument, RouteDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it } from "vitest";
import {
  documentFor,
  eventually,
  send,
  sendRaw,
  startGateway,
  startRawBackend,
} from "../test-support/data-path.ts";

/** Requests after which the gateway knows how long they usually take. */
const OBSERVATIONS = 100;
const GET = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const answerOf = (text: string) =>
  `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${text.length}\r\n\r\n${text}`;

interface Backend {
  origin: string;
  /** While it is not, requests get no answer by themselves. */
  fast: boolean;
  asked(): number;
  /** Of the requests that got no answer: their connections. */
  waiting: Socket[];
  closed(): number;
}

async function startNamed(name: string): Promise<Backend> {
  const waiting: Socket[] = [];
  let [asked, closed] = [0, 0];
  const backend = { fast: true, waiting, asked: () => asked, closed: () => closed, origin: "" };
  backend.origin = await startRawBackend((socket) => {
    socket.on("data", () => {
      asked += 1;
      if (backend.fast) {
        socket.end(answerOf(name)); // so that no connection is a used one, which may be lost at any time
        return;
      }
      waiting.push(socket);
      socket.on("close", () => {
        closed += 1;
      });
    });
  });
  return backend;
}

interface Options {
  hedge?: PoolDocument["hedge"];
  rules?: Partial<RouteDocument>;
}

/** A gateway that knows its pool as fast, before backends that no longer are. The first is picked where it may be. */
async function hedging({ hedge = { budgetPercent: 100 }, rules = {} }: Options = {}) {
  const backends = await Promise.all(["b1", "b2", "b3"].map(startNamed));
  const [b1, b2, b3] = backends as [Backend, Backend, Backend];
  const origins = backends.map(({ origin }) => origin);
  const pools = documentFor(origins).pools.map((pool) => ({ ...pool, hedge }));
  const routes = [{ name: "all", match: {}, proxy: "dynamic", pool: "p", ...rules } as const];
  const gateway = await startGateway(origins, { pools, routes });
  const warm = sendRaw(gateway.port, "");
  for (let i = 1; i <= OBSERVATIONS; i += 1) {
    warm.socket.write(GET);
    await eventually(() => gateway.scheduling.released.length === i, "an answer");
  }
  warm.socket.end();
  gateway.scheduling.released.length = 0;
  gateway.scheduling.wanted.length = 0;
  for (const backend of backends) backend.fast = false;
  const askedBefore = b1.asked();
  return { ...gateway, b1, b2, b3, askedFirst: () => b1.asked() - askedBefore };
}

const outcomes = ({ scheduling }: Pick<Awaited<ReturnType<typeof hedging>>, "scheduling">) =>
  scheduling.released.map(({ backend, outcome }) => `${backend} ${outcome}`).sort();

describe("a request that takes longer than most", () => {
  it("is sent to a second backend, whose answer counts when it is the first; the other is given up", async () => {
    const setting = await hedging();
    const { url, b1, b2, metric, logged } = setting;
    b2.fast = true;
    expect(await send(url)).toMatchObject({ text: "b2", headers: { "x-evenkeel-backend": "b2" } });
    await eventually(() => b1.closed() === 1, "the slower one's connection to close");
    expect([b1.waiting.length, setting.scheduling.held()]).toEqual([1, 0]);
    expect(outcomes(setting)).toEqual(["b1 canceled", "b2 success"]);
    expect(setting.scheduling.wanted).toEqual([{}, { exclude: ["b1"] }]);
    expect(await metric("evenkeel_gateway_hedges_total", { pool: "p" })).toBe(1);
    expect(logged.at(-1)).toMatchObject({ backend: "b2", attempts: 2, status: 200, reason: null });
  });

  it("gets the first one's answer when that comes before the second one's", async () => {
    const setting = await hedging();
    const { port, b1, b2 } = setting;
    const client = sendRaw(port, GET);
    await eventually(() => b2.waiting.length === 1, "the second attempt");
    b1.waiting[0]?.write(answerOf("b1"));
    await eventually(() => client.received().endsWith("b1"), "the answer");
    await eventually(() => b2.closed() === 1, "the second one's connection to close");
    expect(outcomes(setting)).toEqual(["b1 success", "b2 canceled"]);
  });

  it("gets the one's answer when the other breaks", async () => {
    for (const broken of ["b1", "b2"] as const) {
      const setting = await hedging({ rules: { retries: 0 } });
      const other = broken === "b1" ? setting.b2 : setting.b1;
      const client = sendRaw(setting.port, GET);
      await eventually(() => setting.b2.waiting.length === 1, "the second attempt");
      setting[broken].waiting[0]?.resetAndDestroy();
      await eventually(() => setting.scheduling.held() === 1, "the release of the broken one");
      other.waiting[0]?.write(answerOf("ok"));
      await eventually(() => client.received().endsWith("ok"), "the answer");
      expect(outcomes(setting)).toEqual(
        broken === "b1" ? ["b1 failure", "b2 success"] : ["b1 success", "b2 failure"],
      );
    }
  });

  it("is answered 502 once when both break and no further attempt is allowed", async () => {
    const setting = await hedging({ rules: { retries: 1 } });
    const client = sendRaw(setting.port, GET);
    await eventually(() => setting.b2.waiting.length === 1, "the second attempt");
    for (const { waiting } of [setting.b1, setting.b2]) waiting[0]?.resetAndDestroy();
    await eventually(() => client.received().includes("broke before it answered"), "the refusal");
    expect(client.received().match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(outcomes(setting)).toEqual(["b1 failure", "b2 failure"]);
  });

  it("goes to a third one when both break, never back to either", async () => {
    const setting = await hedging();
    const { port, b1, b2, b3, scheduling } = setting;
    b3.fast = true;
    const client = sendRaw(port, GET);
    await eventually(() => b2.waiting.length === 1, "the second attempt");
    b1.waiting[0]?.resetAndDestroy();
    await eventually(() => scheduling.held() === 1, "the release of the first");
    b2.waiting[0]?.resetAndDestroy();
    await eventually(() => client.received().endsWith("b3"), "the answer");
    expect(scheduling.wanted.at(-1)).toEqual({ exclude: ["b1", "b2"] });
    expect(outcomes(setting)).toEqual(["b1 failure", "b2 failure", "b3 success"]);
  });

  it("whose client leaves is given up at both", async () => {
    const setting = await hedging();
    const { port, b1, b2 } = setting;
    const client = sendRaw(port, GET);
    await eventually(() => b2.waiting.length === 1, "the second attempt");
    client.socket.resetAndDestroy();
    await eventually(() => b1.closed() === 1 && b2.closed() === 1, "both connections to close");
    expect(outcomes(setting)).toEqual(["b1 canceled", "b2 canceled"]);
  });

  it("is repeated, not doubled, when its backend breaks while the decision for the second is on its way", async () => {
    const setting = await hedging();
    const { port, b1, b2, scheduling } = setting;
    b2.fast = true;
    const begin = scheduling.hesitate();
    const client = sendRaw(port, GET);
    await eventually(() => scheduling.waiting() === 1, "the first want");
    begin();
    const decide = scheduling.hesitate();
    await eventually(() => b1.waiting.length === 1 && scheduling.waiting() === 1, "the want for a second");
    b1.waiting[0]?.resetAndDestroy();
    await eventually(() => scheduling.waiting() === 2, "the want for a retry");
    decide();
    await eventually(() => client.received().endsWith("b2"), "the answer");
    expect(outcomes(setting)).toEqual(["b1 failure", "b2 canceled", "b2 success"]);
    expect(b2.asked()).toBe(1);
    expect(scheduling.held()).toBe(0);
  });
});

describe("a second backend is not asked", () => {
  /** Answers what waits at the first one, after more than long enough for a second. */
  async function late({ b1 }: Awaited<ReturnType<typeof hedging>>, ask: () => Promise<unknown>) {
    const asking = ask();
    await eventually(() => b1.waiting.length > 0, "the first attempt");
    setTimeout(() => b1.waiting.shift()?.write(answerOf("b1")), 60);
    return asking;
  }

  it.each<[string, Options, Parameters<typeof send>[1]]>([
    ["for a POST", {}, { method: "POST", body: "x" }],
    ["on a static route", { rules: { proxy: "static", backend: "b1" } }, {}],
    [
      "for a body that is streamed",
      {},
      { method: "PUT", body: "x", headers: { "transfer-encoding": "chunked" } },
    ],
  ])("%s", async (_, options, sending) => {
    const setting = await hedging(options);
    expect(await late(setting, () => send(setting.url, sending))).toMatchObject({ text: "b1" });
    expect(setting.b2.asked()).toBe(0);
    expect(outcomes(setting)).toEqual(["b1 success"]);
  });

  it("past the budget", async () => {
    const setting = await hedging({ hedge: { budgetPercent: 1 } });
    setting.b2.fast = true;
    expect((await send(setting.url)).text).toBe("b2");
    setting.b1.waiting.length = 0;
    expect(await late(setting, () => send(setting.url))).toMatchObject({ text: "b1" });
    expect(setting.b2.asked()).toBe(1);
  });
});
