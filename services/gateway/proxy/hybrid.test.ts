import type { RouteDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it } from "vitest";
import { closedOrigin, documentFor, send, startBackend, startGateway } from "../test-support/data-path.ts";

const named = (name: string) => startBackend((_, response) => void response.end(name));
const route: RouteDocument = { name: "all", match: {}, proxy: "dynamic", pool: "p" };

describe("a hybrid route", () => {
  it("asks for its backend while fewer than its bound are in flight there", async () => {
    const { url, scheduling } = await startGateway([await named("b1"), await named("b2")], {
      routes: [{ ...route, proxy: "hybrid", backend: "b2", spillAbove: 7 }],
    });
    await send(url);
    expect(scheduling.wanted).toEqual([{ prefer: { backend: "b2", below: 7 } }]);
  });

  it("asks so beside what its pool asks, and of the next attempt, too", async () => {
    const origins = [await closedOrigin(), await named("b2")];
    const pools = documentFor(origins).pools.map((pool) => ({ ...pool, affinity: {} }));
    const { url, scheduling } = await startGateway(
      origins,
      { pools, routes: [{ ...route, proxy: "hybrid", backend: "b1", spillAbove: 7 }] },
      { cookieSecret: () => Buffer.from("secret") },
    );
    const first = await send(url);
    expect(first.text).toBe("b2");
    const prefer = { backend: "b1", below: 7 };
    expect(scheduling.wanted).toEqual([{ prefer }, { prefer, exclude: ["b1"] }]);
    const cookie = first.headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
    await send(url, { headers: { cookie } });
    expect(scheduling.wanted[2]).toEqual({ stick: "b2", prefer });
  });

  it("of a less critical class leaves room to the more critical one", async () => {
    const bound = { proxy: "hybrid", pool: "p", backend: "b1", spillAbove: 10 } as const;
    const { url, scheduling } = await startGateway([await named("b1")], {
      routes: [
        { ...bound, name: "work", match: { path: "/work" }, criticality: "background" },
        { ...bound, name: "shop", match: {}, criticality: "critical" },
      ],
    });
    await send(url, { path: "/work" });
    await send(url, { path: "/shop" });
    expect(scheduling.wanted.map(({ prefer }) => prefer?.below)).toEqual([5, 10]);
  });
});

describe("a static route", () => {
  it("holds its backend and asks for no decision", async () => {
    const { url, scheduling } = await startGateway([await named("b1"), await named("b2")], {
      routes: [{ ...route, proxy: "static", backend: "b2" }],
    });
    expect((await send(url)).text).toBe("b2");
    expect([scheduling.wanted, scheduling.picked]).toEqual([[], ["b2"]]);
    expect(scheduling.released).toMatchObject([{ backend: "b2", outcome: "success" }]);
  });
});
