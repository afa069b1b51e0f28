import type { PoolDocument } from "@evenkeel/core/config/schema.ts";
import { beforeEach, describe, expect, it } from "vitest";
import {
  type Answer,
  closedOrigin,
  documentFor,
  send,
  startBackend,
  startGateway,
} from "../test-support/data-path.ts";

const SECRET = Buffer.from("the same for all gateways");

/** A backend that says who it is, sets cookies of its own, and shows the cookies it was sent. */
const startNamed = (name: string) =>
  startBackend((request, response) => {
    response.setHeader("set-cookie", ["own=1; Path=/x", "other=2"]);
    response.setHeader("x-cookies", request.headers.cookie ?? "none");
    response.end(name);
  });

interface Options {
  affinity?: PoolDocument["affinity"] | null;
  secret?: Buffer | null;
  /** Only these of the pool's backends; the first one is picked where no session says else. */
  only?: string[];
}

function gatewayOver(origins: string[], { affinity = {}, secret = SECRET, only }: Options = {}) {
  const document = documentFor(origins);
  const pools = document.pools.map(({ backends, ...pool }) => ({
    ...pool,
    backends: backends.filter(({ id }) => only?.includes(id) ?? true),
    ...(affinity && { affinity }),
  }));
  const bound = {
    name: "bound",
    match: { path: "/bound" },
    proxy: "static",
    pool: "p",
    backend: "b2",
  } as const;
  const routes = [bound, ...document.routes];
  return startGateway(origins, { pools, routes }, { cookieSecret: () => secret });
}

const cookies = (answer: Answer) => answer.headers["set-cookie"] ?? [];
/** What a browser sends back. */
const sessionOf = (answer: Answer) => {
  const [cookie] = cookies(answer).filter((one) => one.startsWith("evenkeel="));
  return { cookie: cookie?.split(";", 1)[0] ?? "" };
};

describe("a session", () => {
  let origins: string[];
  beforeEach(async () => {
    origins = await Promise.all(["b1", "b2", "b3"].map(startNamed));
  });
  const begin = async (backend: string) => {
    const first = await send((await gatewayOver(origins, { only: [backend] })).url);
    expect(first.text).toBe(backend);
    return sessionOf(first);
  };

  it("begun through one gateway stays with its backend through another, and is not set again", async () => {
    const other = await gatewayOver(origins);
    for (const backend of ["b2", "b3", "b1"]) {
      const answer = await send(other.url, { headers: await begin(backend) });
      expect(answer.text).toBe(backend);
      expect(other.scheduling.wanted.at(-1)).toEqual({ stick: backend });
      expect(cookies(answer)).toEqual(["own=1; Path=/x", "other=2"]);
    }
  });

  it("is set beside the cookies of the backend, with what the configuration asks for", async () => {
    const { url } = await gatewayOver(origins, { affinity: { maxAgeS: 60, secure: true } });
    const [own, other, session, ...more] = cookies(await send(url));
    expect([own, other, more]).toEqual(["own=1; Path=/x", "other=2", []]);
    expect(session).toMatch(
      /^evenkeel=b1\.[A-Za-z0-9_-]{22}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=60; Secure$/,
    );
  });

  it("is none of the backend's business: its cookie does not arrive, the others do", async () => {
    const { url } = await gatewayOver(origins);
    const { cookie } = await begin("b2");
    const shown = async (sent: string, path = "/") =>
      (await send(url, { path, headers: { cookie: sent } })).headers["x-cookies"];
    expect(await shown(`a=1; ${cookie}; b="x y"`)).toBe('a=1; b="x y"');
    expect(await shown(cookie)).toBe("none");
    expect(await shown(`${cookie}; a=1`, "/bound")).toBe("a=1");
  });

  it("cannot be overwritten or ended by a backend, on a static route neither", async () => {
    origins[1] = await startBackend((_, response) => {
      response.setHeader("set-cookie", ["evenkeel=mine; Path=/", "own=1", "evenkeel=; Max-Age=0"]);
      response.end("b2");
    });
    const { url } = await gatewayOver(origins);
    const session = await begin("b2");
    expect(cookies(await send(url, { headers: session }))).toEqual(["own=1"]);
    expect(cookies(await send(url, { path: "/bound" }))).toEqual(["own=1"]);
    const plain = await gatewayOver(origins, { affinity: null, only: ["b2"] });
    expect(cookies(await send(plain.url))).toHaveLength(3);
  });

  it("is neither set nor followed on a static route", async () => {
    const { url } = await gatewayOver(origins);
    const answer = await send(url, { path: "/bound", headers: await begin("b3") });
    expect(answer.text).toBe("b2");
    expect(cookies(answer)).toHaveLength(2);
  });

  it("moves when its backend fails, and says so to the client", async () => {
    const session = await begin("b2");
    origins[1] = await closedOrigin();
    const { url, scheduling } = await gatewayOver(origins);
    const answer = await send(url, { headers: session });
    expect(answer.text).toBe("b1");
    expect(scheduling.wanted).toEqual([{ stick: "b2" }, { exclude: ["b2"] }]);
    expect(sessionOf(answer).cookie).toMatch(/^evenkeel=b1\./);
  });

  it("that is forged is not followed, is counted, and replaced by a true one", async () => {
    const { url, scheduling, metric } = await gatewayOver(origins);
    const { cookie } = await begin("b2");
    for (const forged of ["evenkeel=b3", cookie.replace("b2", "b3"), "evenkeel="]) {
      const answer = await send(url, { headers: { cookie: forged } });
      expect(answer.text).toBe("b1");
      expect(scheduling.wanted.at(-1)).toEqual({});
      expect(sessionOf(answer).cookie).toMatch(/^evenkeel=b1\./);
    }
    expect(await metric("evenkeel_gateway_affinity_cookies_refused_total", { pool: "p" })).toBe(3);
  });

  it("is neither set nor believed while the secret is not known; its cookie still does not arrive", async () => {
    const { url, scheduling } = await gatewayOver(origins, { secret: null });
    const answer = await send(url, { headers: await begin("b2") });
    expect(answer.text).toBe("b1");
    expect(answer.headers["x-cookies"]).toBe("none");
    expect(cookies(answer)).toHaveLength(2);
    expect(scheduling.wanted).toEqual([{}]);
  });

  it("is not set by an answer of the gateway itself", async () => {
    const { url } = await gatewayOver([await closedOrigin()]);
    const answer = await send(url);
    expect(answer.status).toBe(502);
    expect(cookies(answer)).toEqual([]);
  });

  it("does not exist in a pool that has none: such a cookie is the backend's own", async () => {
    const { url, scheduling } = await gatewayOver(origins, { affinity: null });
    const session = await begin("b2");
    const answer = await send(url, { headers: session });
    expect(answer.text).toBe("b1");
    expect(answer.headers["x-cookies"]).toBe(session.cookie);
    expect(cookies(answer)).toHaveLength(2);
    expect(scheduling.wanted).toEqual([{}]);
  });
});
