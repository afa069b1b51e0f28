import type { ConfigDocument, PoolDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it } from "vitest";
import { ANY_BACKEND } from "../scheduling/scheduling.ts";
import {
  type Answer,
  closedOrigin,
  documentFor,
  type Sending,
  send,
  startBackend,
  startGateway,
} from "../test-support/data-path.ts";

const LOOPBACK = ["127.0.0.0/8", "::1/128"];

const withPool = (origins: string[], pool: Partial<PoolDocument>, more: Partial<ConfigDocument> = {}) => ({
  pools: documentFor(origins).pools.map((one) => ({ ...one, ...pool })),
  ...more,
});

const startTen = () =>
  Promise.all(Array.from({ length: 10 }, (_, i) => startBackend((_, response) => response.end(`b${i + 1}`))));

describe("a request of a pool", () => {
  it("that needs to know nothing asks for any backend, and after a failure for another one", async () => {
    const origins = [await closedOrigin(), await startBackend((_, response) => response.end())];
    const { url, scheduling } = await startGateway(origins);
    expect((await send(url)).status).toBe(200);
    expect(scheduling.wanted).toEqual([{}, { exclude: ["b1"] }]);
    expect(scheduling.wanted[0]).toBe(ANY_BACKEND);
  });

  describe("with the policy `hash`", () => {
    const keyed = async (hash: PoolDocument["hash"], more: Partial<ConfigDocument> = {}) => {
      const origins = await startTen();
      const pool: Partial<PoolDocument> = { policy: "hash", ...(hash && { hash }) };
      const gateways = await Promise.all(
        [1, 2].map(() => startGateway(origins, withPool(origins, pool, more))),
      );
      /** The backend, by each of two gateways. */
      return async (sending: Sending) => {
        const answers = await Promise.all(gateways.map(({ url }) => send(url, sending)));
        const ranked = gateways.map(({ scheduling }) => scheduling.wanted.at(-1)?.ranked);
        expect(ranked[0]).toHaveLength(8);
        expect(ranked[1]).toEqual(ranked[0]);
        expect(answers.map(({ text }) => text)).toEqual([ranked[0]?.[0], ranked[0]?.[0]]);
        return answers[0]?.text as string;
      };
    };

    const spread = async (serve: (sending: Sending) => Promise<string>, sendings: Sending[]) => {
      const backends = [];
      for (const sending of sendings) backends.push(await serve(sending));
      return new Set(backends).size;
    };
    const users = Array.from({ length: 12 }, (_, i) => `user-${i}`);

    it.each<[PoolDocument["hash"], (user: string) => Sending, Sending]>([
      [{ key: "path" }, (user) => ({ path: `/${user}` }), { path: "/user-3?ignored=1" }],
      [
        { key: "header", name: "X-User" },
        (user) => ({ headers: { "x-user": user } }),
        { path: "/other", headers: { "X-USER": "user-3" } },
      ],
      [
        { key: "cookie", name: "sid" },
        (user) => ({ headers: { cookie: `sid=${user}` } }),
        { headers: { cookie: "a=b; sid=user-3" } },
      ],
      [
        { key: "query", name: "user" },
        (user) => ({ path: `/x?user=${user}` }),
        { path: "/y?a=b&user=user-3" },
      ],
    ])("%j goes by that key, through any gateway", async (hash, sendingOf, alike) => {
      const serve = await keyed(hash);
      expect(await spread(serve, users.map(sendingOf))).toBeGreaterThan(3);
      expect(await serve(alike)).toBe(await serve(sendingOf("user-3")));
    });

    it("goes by the client's address where a request has no such value", async () => {
      const byAddress = await keyed({ key: "address" });
      const backend = await byAddress({ path: "/a" });
      expect(await byAddress({ path: "/b", headers: { "x-forwarded-for": "203.0.113.9" } })).toBe(backend);
      const byHeader = await keyed({ key: "header", name: "x-user" });
      expect(await byHeader({})).toBe(backend);
      expect(await byHeader({ headers: { "x-user": "" } })).toBe(backend);
    });

    it("takes the client's address from a trusted proxy", async () => {
      const serve = await keyed({ key: "address" }, { trustedProxies: LOOPBACK });
      const from = (address: string) => ({ headers: { "x-forwarded-for": address } });
      const clients = users.map((_, i) => from(`203.0.113.${i}`));
      expect(await spread(serve, clients)).toBeGreaterThan(3);
      const forged = from("198.51.100.1, 203.0.113.5");
      expect(await serve(forged)).toBe(await serve(from("203.0.113.5")));
    });
  });

  describe("that reckons with distance", () => {
    const geography: ConfigDocument["geography"] = {
      zones: [{ name: "eu" }, { name: "us" }],
      distances: [{ between: ["eu", "us"], distance: 90 }],
      clients: { header: "X-Zone", networks: [{ cidr: "203.0.113.0/24", zone: "us" }] },
    };
    const gatewayIn = async (zone: string, trustedProxies: string[]) => {
      const origin = await startBackend((_, response) => response.end());
      const pools: PoolDocument[] = [
        { name: "p", policy: "geo", backends: [{ id: "b1", url: origin, zone: "eu" }] },
      ];
      const gateway = await startGateway([origin], { pools, geography, trustedProxies }, { zone });
      return async (headers: Record<string, string>) => {
        await send(gateway.url, { headers });
        return gateway.scheduling.wanted.at(-1);
      };
    };

    it("says the zone that a trusted proxy names, or that of the client's network, else the gateway's", async () => {
      const wantOf = await gatewayIn("eu", LOOPBACK);
      expect(await wantOf({ "x-zone": "us" })).toEqual({ zone: "us" });
      expect(await wantOf({ "x-forwarded-for": "203.0.113.7" })).toEqual({ zone: "us" });
      expect(await wantOf({ "x-zone": "eu", "x-forwarded-for": "203.0.113.7" })).toEqual({ zone: "eu" });
      expect(await wantOf({ "x-zone": "mars" })).toEqual({ zone: "eu" });
      expect(await wantOf({})).toEqual({ zone: "eu" });
    });

    it("believes neither header of a peer that is not trusted", async () => {
      const wantOf = await gatewayIn("eu", []);
      expect(await wantOf({ "x-zone": "us", "x-forwarded-for": "203.0.113.7" })).toEqual({ zone: "eu" });
    });

    it("says nothing when nothing is known", async () => {
      const wantOf = await gatewayIn("", LOOPBACK);
      expect(await wantOf({})).toEqual({});
    });
  });
});

describe("what a backend says of its load", () => {
  const reporting = async (report: string | string[], wanted: string[] | null = ["cpu_utilization"]) => {
    const origin = await startBackend((_, response) => {
      response.setHeader("Endpoint-Load-Metrics", report);
      response.end("ok");
    });
    const pool = wanted ? { reports: { header: wanted } } : {};
    const gateway = await startGateway([origin], withPool([origin], pool));
    const answer: Answer = await send(gateway.url);
    expect(answer.text).toBe("ok");
    const malformed = await gateway.metric("evenkeel_gateway_load_reports_malformed_total", { pool: "p" });
    return {
      shown: answer.headers["endpoint-load-metrics"],
      reported: gateway.scheduling.reported,
      malformed,
    };
  };

  it.each(["TEXT cpu_utilization=0.25, mem_utilization=0.5", 'JSON {"cpu_utilization": 0.25, "eps": 3}'])(
    "goes to the scheduler as far as it was asked for, and not to the client: %s",
    async (report) => {
      const { shown, reported, malformed } = await reporting(report);
      expect(reported).toEqual([["b1", { cpu_utilization: 0.25 }]]);
      expect(shown).toBeUndefined();
      expect(malformed).toBe(0);
    },
  );

  it.each<string | string[]>([
    "TEXT cpu_utilization=much",
    'JSON {"cpu_utilization":',
    ["TEXT cpu_utilization=1", "TEXT cpu_utilization=2"],
  ])("is counted and left aside when it cannot be read: %s", async (report) => {
    const { shown, reported, malformed } = await reporting(report);
    expect(reported).toEqual([]);
    expect(shown).toBeUndefined();
    expect(malformed).toBe(1);
  });

  it("goes to the client where the pool asks for nothing", async () => {
    const { shown, reported } = await reporting("TEXT cpu_utilization=0.25", null);
    expect(shown).toBe("TEXT cpu_utilization=0.25");
    expect(reported).toEqual([]);
  });

  it("says nothing where it holds nothing of what was asked for", async () => {
    const { reported, malformed } = await reporting("TEXT mem_utilization=0.5");
    expect(reported).toEqual([]);
    expect(malformed).toBe(0);
  });
});
