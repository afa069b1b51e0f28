import { type Config, type Listener, type Route, resolveConfig } from "@evenkeel/core/config/resolve.ts";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import type { Want } from "@evenkeel/core/ledger/ledger.ts";
import { describe, expect, it } from "vitest";
import { bindAlone } from "../listeners/bind.ts";
import { createRetryBudget } from "../proxy/retry-budget.ts";
import type { RouteRules } from "../proxy/route-rules.ts";
import { createMemoryScheduling } from "../test-support/memory-scheduling.ts";
import { createStreams } from "./streams.ts";
import {
  createRecordedReport,
  eventually,
  onCleanup,
  startClient,
  startTcpBackend,
} from "./test-support/streams.ts";

const named = (text: string) => startTcpBackend((socket) => void socket.write(text));

const document = (urls: string[], routes: ConfigDocument["routes"]): ConfigDocument => ({
  listeners: [{ name: "l", protocol: "tcp", port: 0, address: "127.0.0.1" }],
  routes,
  pools: [{ name: "p", backends: urls.map((url, i) => ({ id: `b${i + 1}`, url })) }],
});

const to = (backend: string, rest: object = {}) => ({
  name: "r",
  match: { listener: "l" },
  proxy: "static" as const,
  pool: "p",
  backend,
  ...rest,
});

async function start(config: Config, wants: { asked?: Want; prefer?: Want } = {}) {
  const scheduling = createMemoryScheduling();
  const report = createRecordedReport();
  const streams = createStreams({
    scheduling,
    report,
    retries: { retried() {}, budgetExhausted() {} },
    clock: () => performance.now(),
    openTls: () => Promise.reject(new Error("no TLS in this test")),
    bind: bindAlone,
  });
  const configure = (next: Config) => {
    scheduling.setPools(next.pools);
    const [settings] = next.pools;
    const ask = wants.asked ? () => ({ ...wants.asked }) : null;
    const pool = { name: "p", settings, budget: createRetryBudget(() => 0), breakers: null, ask };
    const destination = { pool, cookie: null, prefer: wants.prefer ?? null, next: null };
    streams.configure(next, (route: Route) => {
      if (route.name === "unknown" || route.reply !== null) return null;
      const held = route.proxy === "static" ? route.backend : null;
      return { reply: null, destination: () => ({ ...destination, held }) } as unknown as RouteRules;
    });
  };
  configure(config);
  const server = await streams.openTcp(config.listeners[0] as Listener, 0);
  onCleanup(() => server.close(0));
  return { configure, port: server.port, scheduling, report };
}

const answerOf = async (port: number) => {
  const client = startClient(port);
  await eventually(() => client.received() !== "" || client.closed(), "an answer");
  return { client, text: client.received() };
};

describe("createStreams", () => {
  it("serves the next connection by the new configuration; those that are open live on", async () => {
    const urls = [await named("one"), await named("two")];
    const { configure, port, report } = await start(resolveConfig(document(urls, [to("b1")])));
    const { client, text } = await answerOf(port);
    expect(text).toBe("one");
    configure(resolveConfig(document(urls, [to("b2")])));
    expect((await answerOf(port)).text).toBe("two");
    configure(resolveConfig(document([], [])));
    expect((await answerOf(port)).text).toBe("");
    expect(report.finishes).toMatchObject([{ result: "no-route" }]);
    expect(client.closed()).toBe(false);
  });

  it("lets nobody in whom the networks of the route keep out", async () => {
    const urls = [await named("one")];
    const denied = to("b1", { access: { deny: ["127.0.0.0/8"] } });
    const { configure, port, report } = await start(resolveConfig(document(urls, [denied])));
    expect((await answerOf(port)).text).toBe("");
    expect(report.finishes).toMatchObject([{ result: "denied" }]);
    configure(resolveConfig(document(urls, [to("b1", { access: { allow: ["127.0.0.1/32"] } })])));
    expect((await answerOf(port)).text).toBe("one");
  });

  it("asks the scheduler for what the pool and the route ask for", async () => {
    const routes = [{ name: "r", match: { listener: "l" }, proxy: "dynamic" as const, pool: "p" }];
    const config = resolveConfig(document([await named("one")], routes));
    const prefer = { prefer: { backend: "b1", below: 3 } };
    const both = await start(config, { asked: { zone: "eu" }, prefer });
    await answerOf(both.port);
    expect(both.scheduling.wanted).toEqual([{ zone: "eu", ...prefer }]);
    const neither = await start(config);
    await answerOf(neither.port);
    expect(neither.scheduling.wanted).toEqual([{}]);
  });

  it("has no route where its rules are not known", async () => {
    const { port, report } = await start(
      resolveConfig(document([await named("one")], [to("b1", { name: "unknown" })])),
    );
    expect((await answerOf(port)).text).toBe("");
    expect(report.finishes).toMatchObject([{ result: "no-route", reason: "route unknown leads to no pool" }]);
  });
});
