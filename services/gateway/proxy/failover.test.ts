import type { ConfigDocument, PoolDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it } from "vitest";
import { closedOrigin, send, startBackend, startGateway } from "../test-support/data-path.ts";

/** Answers with its name, and the body that it was sent. */
const named = (name: string) =>
  startBackend((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => response.end(name + body));
  });

/** Pools "p" and "q" of one backend each, called by their pools' names, and "p" fails over to "q". */
async function setUp(route: object, p: Partial<PoolDocument> = {}, origins: string[] = []) {
  const [first = await named("p")] = origins;
  const pools: ConfigDocument["pools"] = [
    {
      name: "p",
      backends: [
        { id: "p1", url: first },
        { id: "p2", url: await named("p too") },
      ],
      failoverTo: "q",
      ...p,
    },
    { name: "q", backends: [{ id: "q1", url: await named("q") }] },
  ];
  const routes = [{ name: "all", match: {}, pool: "p", ...route }] as ConfigDocument["routes"];
  const gateway = await startGateway([], { pools, routes });
  const get = async (options: Parameters<typeof send>[1] = {}) => send(gateway.url, options);
  return { ...gateway, get };
}

describe("requests to a pool that cannot serve", () => {
  it("go to the pool that it names, and home again when it can", async () => {
    const { get, scheduling, logged } = await setUp({ proxy: "dynamic" });
    expect((await get()).text).toBe("p");
    scheduling.away.set("p", "q");
    const answer = await get();
    expect([answer.text, answer.headers["x-evenkeel-backend"]]).toEqual(["q", "q1"]);
    scheduling.away.clear();
    expect((await get()).text).toBe("p");
    expect(logged.map(({ pool }) => pool)).toEqual(["p", "q", "p"]);
    expect(scheduling.held()).toBe(0);
  });

  it("of a hybrid route go there where its static backend is not ready either", async () => {
    const { get, scheduling } = await setUp({ proxy: "hybrid", backend: "p1" });
    scheduling.away.set("p", "q");
    expect((await get()).text).toBe("p");
    expect(scheduling.wanted.at(-1)).toMatchObject({ prefer: { backend: "p1" } });
    scheduling.unready.add("p1");
    expect((await get()).text).toBe("q");
    expect(scheduling.wanted.at(-1)).toEqual({});
  });

  it("of a static route stay with their backend, unless the route fails over", async () => {
    const { get, scheduling } = await setUp({ proxy: "static", backend: "p1" });
    scheduling.away.set("p", "q");
    scheduling.unready.add("p1");
    expect((await get()).text).toBe("p");
  });

  it("of one part of a split go there, and the client stays with its part", async () => {
    const split = { pools: [{ pool: "p", weight: 1 }], sticky: { cookie: "part" } };
    const { get, scheduling } = await setUp({ proxy: "dynamic", pool: undefined, split });
    scheduling.away.set("p", "q");
    const answer = await get();
    expect([answer.text, answer.headers["set-cookie"]?.[0]]).toEqual([
      "q",
      expect.stringContaining("part=p"),
    ]);
  });
});

describe("a single request that nobody of its pool may take", () => {
  it("goes to the next pool before it is refused", async () => {
    const { get, scheduling } = await setUp({ proxy: "dynamic" }, { backends: [] });
    expect((await get({ method: "POST", body: " has it" })).text).toBe("q has it");
    expect(scheduling.held()).toBe(0);
  });

  it("goes there with its body when all of them have failed it, within the same number of retries", async () => {
    const backends = [
      { id: "p1", url: await closedOrigin() },
      { id: "p2", url: await closedOrigin() },
    ];
    const { get, scheduling, metric } = await setUp({ proxy: "dynamic", retries: 2 }, { backends });
    expect((await get({ method: "PUT", body: " has it" })).text).toBe("q has it");
    expect(scheduling.picked).toEqual(["p1", "p2", "q1"]);
    expect(await metric("evenkeel_gateway_retries_total", { pool: "p" })).toBe(2);
    const short = await setUp({ proxy: "dynamic", retries: 1 }, { backends });
    expect((await short.get()).status).toBe(502);
    expect(short.scheduling.picked).toEqual(["p1", "p2"]);
  });

  it("is refused where the pool names nobody", async () => {
    const { get } = await setUp({ proxy: "dynamic" }, { backends: [], failoverTo: undefined as never });
    expect((await get()).status).toBe(503);
  });
});

describe("a request that is served by another pool,", () => {
  const refusing = async (id: string) => [{ id, url: await closedOrigin() }];
  const both = async (p: PoolDocument["backends"], q: PoolDocument["backends"]) => {
    const gateway = await startGateway([], {
      pools: [
        { name: "p", backends: p, failoverTo: "q" },
        { name: "q", backends: q },
      ],
      routes: [{ name: "all", match: {}, proxy: "dynamic", pool: "p", retries: 3 }],
    });
    gateway.scheduling.away.set("p", "q");
    return { ...gateway, get: () => send(gateway.url) };
  };

  it("comes home where nobody there may take it, or all have failed it", async () => {
    const home = [{ id: "p1", url: await named("p") }];
    expect((await (await both(home, [])).get()).text).toBe("p");
    const failed = await both(home, await refusing("q1"));
    expect((await failed.get()).text).toBe("p");
    expect(failed.scheduling.picked).toEqual(["q1", "p1"]);
    expect(failed.scheduling.held()).toBe(0);
  });

  it("is refused where nobody can take it at home either, once both were asked", async () => {
    const { get, scheduling } = await both(await refusing("p1"), await refusing("q1"));
    expect((await get()).status).toBe(502);
    expect(scheduling.picked).toEqual(["q1", "p1"]);
    expect((await (await both([], [])).get()).status).toBe(503);
  });
});

describe("a static route that fails over", () => {
  const route = { proxy: "static", backend: "p1", failover: true };

  it("is anybody's of the pool while its backend is not ready, and its backend's again at once", async () => {
    const { get, scheduling } = await setUp(route);
    expect((await get()).text).toBe("p");
    expect(scheduling.wanted).toEqual([]);
    scheduling.unready.add("p1");
    await get();
    expect(scheduling.wanted).toEqual([{}]);
    scheduling.away.set("p", "q");
    expect((await get()).text).toBe("q");
    scheduling.unready.clear();
    expect((await get()).text).toBe("p");
    expect(scheduling.wanted).toHaveLength(2);
  });

  it("tries another backend where its own has failed before a byte of an answer", async () => {
    const { get, scheduling } = await setUp(route, {}, [await closedOrigin()]);
    expect((await get()).text).toBe("p too");
    expect(scheduling.wanted).toEqual([{ exclude: ["p1"] }]);
    expect(scheduling.released.map(({ outcome }) => outcome)).toEqual(["failure", "success"]);
  });

  it("repeats nothing that may not be repeated", async () => {
    const cut = await startBackend((request) => void request.socket.destroy());
    const { get } = await setUp(route, {}, [cut]);
    expect((await get({ method: "POST", body: "once" })).status).toBe(502);
    expect((await get()).text).toBe("p too");
  });
});
