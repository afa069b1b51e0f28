import type { ServerResponse } from "node:http";
import type { PoolDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it } from "vitest";
import { eventually, send, startBackend, startGateway } from "../test-support/data-path.ts";
import { h2c } from "../upstream/test-support/http2-backend.ts";

const good = () => startBackend((_, response) => response.end("good"));

async function setUp(origins: string[], route: object = {}, pool: Partial<PoolDocument> = {}) {
  const gateway = await startGateway(origins, {
    routes: [{ name: "all", match: {}, proxy: "dynamic", pool: "p", retryStatuses: ["500-599"], ...route }],
    pools: [{ name: "p", backends: origins.map((url, i) => ({ id: `b${i + 1}`, url })), ...pool }],
  });
  const outcomes = () => gateway.scheduling.released.map(({ outcome }) => outcome);
  const get = (options: Parameters<typeof send>[1] = {}) => send(gateway.url, options);
  return { ...gateway, get, outcomes };
}

/** Answers with a status, and counts its connections. */
async function failing(end: (response: ServerResponse) => void, status = 500) {
  const sockets = new Set<unknown>();
  const url = await startBackend((request, response) => {
    sockets.add(request.socket);
    response.statusCode = status;
    end(response);
  });
  return { url, connections: () => sockets.size };
}

describe("an answer with a status to ask again for", () => {
  it("never reaches the client where another backend has a better one; its connection is used again", async () => {
    const bad = await failing((response) => response.end("bad"));
    const { get, scheduling, outcomes, metric } = await setUp([bad.url, await good()]);
    for (let i = 0; i < 3; i += 1) expect(await get()).toMatchObject({ status: 200, text: "good" });
    expect(scheduling.picked).toEqual(["b1", "b2", "b1", "b2", "b1", "b2"]);
    expect(outcomes().slice(0, 2)).toEqual(["success", "success"]);
    expect(bad.connections()).toBe(1);
    expect(await metric("evenkeel_gateway_retries_total", { pool: "p" })).toBe(3);
  });

  it("goes to the client as it is where nobody else may take the request", async () => {
    const bad = await failing((response) => {
      response.setHeader("x-why", "mine");
      response.write("half ");
      setTimeout(() => response.end("and half"), 20);
    }, 503);
    const { get, outcomes, scheduling } = await setUp([bad.url]);
    const answer = await get();
    expect([answer.status, answer.text, answer.headers["x-why"]]).toEqual([503, "half and half", "mine"]);
    expect(outcomes()).toEqual(["failure"]);
    expect(scheduling.held()).toBe(0);
  });

  it("waits for whoever decides, takes no more than a little meanwhile, and is then passed on whole", async () => {
    const body = "x".repeat(20_000_000); // more than the system keeps on the way
    const asked = Promise.withResolvers<ServerResponse>();
    const bad = await failing(asked.resolve);
    const { get, scheduling } = await setUp([bad.url]);
    const coming = get();
    const response = await asked.promise;
    const goOn = scheduling.hesitate();
    response.end(body);
    await eventually(() => scheduling.waiting() === 1, "the second question");
    for (let turn = 0; turn < 500; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(response.writableFinished).toBe(false);
    goOn();
    expect((await coming).text === body).toBe(true);
  });

  it("goes to the client when no retry is left, or none allowed", async () => {
    const bad = () => failing((response) => response.end("bad"));
    const many = await setUp([(await bad()).url, (await bad()).url, (await bad()).url], { retries: 1 });
    expect(await many.get()).toMatchObject({ status: 500, text: "bad" });
    expect(many.scheduling.picked).toEqual(["b1", "b2"]);
    const once = await setUp([(await bad()).url, await good()]);
    expect((await once.get({ method: "POST", body: "once" })).status).toBe(500);
    expect(once.scheduling.picked).toEqual(["b1"]);
  });

  it("is not repeated for another status", async () => {
    const missing = await failing((response) => response.end("missing"), 404);
    const { get, scheduling } = await setUp([missing.url, await good()]);
    expect((await get()).status).toBe(404);
    expect(scheduling.picked).toEqual(["b1"]);
  });

  it("is thrown away with its connection where its body is large or does not end", async () => {
    const large = await failing((response) => response.end("x".repeat(500_000)));
    let closed = false;
    const endless = await failing((response) => {
      response.write("…");
      response.on("close", () => {
        closed = true;
      });
    });
    const { get, scheduling } = await setUp([large.url, endless.url, await good()]);
    expect((await get()).text).toBe("good");
    expect((await get()).text).toBe("good");
    expect(large.connections()).toBe(2);
    await eventually(() => closed, "the endless answer to be cut");
    expect(scheduling.held()).toBe(0);
  });

  it("frees its place when the client leaves while it is withheld", async () => {
    const asked = Promise.withResolvers<ServerResponse>();
    const bad = await failing(asked.resolve);
    const { url, scheduling } = await setUp([bad.url, await good()]);
    const leaving = new AbortController();
    const coming = fetch(url, { signal: leaving.signal }).catch(() => null);
    const response = await asked.promise;
    const goOn = scheduling.hesitate();
    response.write("…");
    await eventually(() => scheduling.waiting() === 1, "the second question");
    leaving.abort();
    await coming;
    await eventually(() => scheduling.held() === 0, "the first place to be free");
    goOn();
    expect(scheduling.held()).toBe(0);
  });
});

describe("over HTTP/2", () => {
  it("an answer to ask again for is thrown away, or passed on whole, just so", async () => {
    const body = "x".repeat(200_000);
    const answering = (status: number) =>
      h2c((stream) => {
        stream.respond({ ":status": status });
        stream.end(body);
      });
    const [bad, fine] = [await answering(500), await answering(200)];
    const { get, scheduling } = await setUp([bad.url, fine.url], {}, { http: "2" });
    for (let i = 0; i < 2; i += 1) expect((await get()).status).toBe(200);
    expect(scheduling.held()).toBe(0);
    const alone = await setUp([bad.url], {}, { http: "2" });
    expect(await alone.get()).toMatchObject({ status: 500, text: body });
  });
});

describe("a status that counts as the backend's failure", () => {
  it("is 502 to 504, unless the pool says which", async () => {
    const origins = [(await failing((response) => response.end(), 500)).url];
    const usual = await setUp(origins, { retryStatuses: [] });
    await usual.get();
    expect(usual.outcomes()).toEqual(["success"]);
    const own = await setUp(origins, { retryStatuses: [] }, { eject: { statuses: ["500", "429"] } });
    await own.get();
    expect(own.outcomes()).toEqual(["failure"]);
  });
});

describe("an answer that breaks off after it was thrown away", () => {
  it("counts once for its backend's breaker", async () => {
    const broken = new Set<unknown>();
    const bad = await failing((response) => {
      response.setHeader("content-length", 10);
      response.write("half");
      setTimeout(() => {
        response.destroy();
        broken.add(response);
      }, 20);
    }, 503);
    const breaker = { failures: 5, windowMs: 60_000, openMs: 60_000 };
    const { get, metric } = await setUp([bad.url, await good()], {}, { breaker });
    const enough = 19; // one less than it takes to open
    for (let i = 0; i < enough; i += 1) {
      expect((await get()).text).toBe("good");
      await eventually(() => broken.size === i + 1, "the rest to break off");
    }
    await get();
    await eventually(() => broken.size === enough + 1, "a last attempt at it");
    expect(await metric("evenkeel_gateway_retries_total", { pool: "p" })).toBe(enough + 1);
  });
});
