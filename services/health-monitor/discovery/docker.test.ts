import { describe, expect, it, onTestFinished, vi } from "vitest";
import { createEngines } from "./docker.ts";
import { realTimers } from "./source.ts";
import { collectAnswers } from "./test-support/answers.ts";
import { container, startDockerEngine } from "./test-support/docker-engine.ts";

const NEVER_MS = 3_600_000;

/** Pools that watch one Engine, with short waits. */
function watching(host: string, pools = ["shop"], intervalMs = NEVER_MS, answerTimeoutMs = 5_000) {
  const after = (delayMs: number, run: () => void) =>
    realTimers.after(delayMs < NEVER_MS ? Math.min(delayMs, 10) : delayMs, run);
  const engines = createEngines({ ...realTimers, after }, answerTimeoutMs);
  return pools.map((pool) => {
    const seen = collectAnswers([], pool);
    const running = engines.watch({ host, network: null, intervalMs }, seen.start);
    onTestFinished(() => running.stop());
    return { ...seen, running };
  }) as [Watching, ...Watching[]];
}
type Watching = ReturnType<typeof collectAnswers> & { running: { stop(): void } };

describe("a Docker Engine", () => {
  it("tells its containers at once, and again upon its events", async () => {
    const engine = await startDockerEngine();
    engine.set({ containers: [container("shop-1", "172.17.0.2")] });
    const [shop] = watching(engine.host);
    await shop.until("found", () => shop.ids()?.join() === "shop-1");
    await shop.until("followed", () => engine.followers === 1);
    engine.set({ containers: [container("shop-1", "172.17.0.2"), container("shop-2", "172.17.0.3")] });
    engine.event("start");
    await shop.until("found the second", () => shop.ids()?.join() === "shop-1,shop-2");
    engine.set({ containers: [container("shop-2", "172.17.0.3")] });
    engine.event("die");
    await shop.until("lost the first", () => shop.ids()?.join() === "shop-2");
  });

  it("is listed again though it tells of nothing", async () => {
    const engine = await startDockerEngine();
    const [shop] = watching(engine.host, ["shop"], 50);
    await shop.until("listed", () => shop.ids()?.length === 0);
    engine.set({ containers: [container("shop-1", "172.17.0.2")] });
    await shop.until("found", () => shop.ids()?.join() === "shop-1");
  });

  it.each([
    ["nothing", [null]],
    ["names that are none", [{ ...container("shop-2", "172.17.0.3"), Names: "shop-2" }]],
  ])("is not believed when it lists %s", async (_what, containers) => {
    const engine = await startDockerEngine();
    engine.set({ containers });
    const [shop] = watching(engine.host, ["shop"], 50);
    await shop.until("failed", () => shop.reason()?.includes("not a list of containers") ?? false);
    engine.set({ containers: [container("shop-1", "172.17.0.2")] });
    await shop.until("found", () => shop.ids()?.join() === "shop-1");
  });

  it("is one connection for all its pools", async () => {
    const engine = await startDockerEngine();
    engine.set({
      containers: [
        container("shop-1", "172.17.0.2"),
        container("till-1", "172.17.0.3", { "evenkeel.pool": "till" }),
      ],
    });
    const [shop, till] = watching(engine.host, ["shop", "till"]);
    await shop.until("both found", () => shop.ids()?.join() === "shop-1" && till?.ids()?.join() === "till-1");
    await shop.until("followed", () => engine.followers === 1);
    shop.running.stop();
    const told = shop.answers.length;
    const before = till?.answers.length ?? 0;
    engine.event();
    await shop.until("the other is told", () => (till?.answers.length ?? 0) > before);
    expect(shop.answers).toHaveLength(told);
    expect(engine.requests.filter((one) => one === "/events")).toHaveLength(1);
    till?.running.stop();
    await shop.until("left alone", () => engine.followers === 0);
  });

  it("that is away, or fails, is a failure, and is found again", async () => {
    const engine = await startDockerEngine();
    engine.set({ containers: [container("shop-1", "172.17.0.2")] });
    const [shop] = watching(engine.host, ["shop"], 50);
    await shop.until("found", () => shop.ids()?.join() === "shop-1");
    await engine.stop();
    await shop.until("away", () => /ENOENT|ECONNREFUSED|ECONNRESET/.test(shop.reason() ?? ""));
    expect(shop.reason()).toContain(engine.host);
    await engine.start();
    await shop.until("found again", () => shop.ids()?.join() === "shop-1");
    await shop.until("followed again", () => engine.followers === 1);
    engine.set({ status: 500 });
    await shop.until("failing", () => /500.*no such luck/.test(shop.reason() ?? ""));
    engine.set({ containers: { not: "a list" } });
    await shop.until("not understood", () => /not a list/.test(shop.reason() ?? ""));
    engine.set({ containers: [] });
    await shop.until("empty", () => shop.ids()?.length === 0);
  });

  it("whose events end is followed anew, and looked at for what was missed", async () => {
    const engine = await startDockerEngine();
    const [shop] = watching(engine.host);
    await shop.until("followed", () => engine.followers === 1 && shop.ids()?.length === 0);
    engine.set({ containers: [container("shop-1", "172.17.0.2")] });
    engine.endEvents();
    await shop.until("found", () => shop.ids()?.join() === "shop-1");
    await shop.until("followed anew", () => engine.followers === 1);
  });

  it("that does not answer is a failure in the end", async () => {
    const engine = await startDockerEngine();
    engine.set({ silent: true });
    const [shop] = watching(engine.host, ["shop"], NEVER_MS, 200);
    await shop.until("given up", () => /no answer within 200 ms/.test(shop.reason() ?? ""));
  });

  it("is the one of the configuration, over TCP too, whatever the environment says", async () => {
    vi.stubEnv("DOCKER_HOST", "ssh://who@127.0.0.1:2");
    onTestFinished(() => void vi.unstubAllEnvs());
    const engine = await startDockerEngine();
    const [local] = watching(engine.host);
    await local.until("found", () => local.ids()?.length === 0);
    const [shop] = watching("http://127.0.0.1:1");
    await shop.until("refused", () => /http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/.test(shop.reason() ?? ""));
  });

  it("with an address that is none is a failure like others", async () => {
    const [shop] = watching("nowhere");
    await shop.until("refused", () => /Invalid URL/.test(shop.reason() ?? ""));
    await shop.until("tried again", () => shop.answers.length > 1);
  });
});
