import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { ShownEvents } from "@evenkeel/core/wire/shown-event.ts";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Arguments, readArguments } from "../command.ts";
import { events, queryOf } from "./events.ts";

const event = (n: number) => ({
  id: `shop/${n}-0`,
  pool: "shop",
  version: n,
  atMs: n,
  type: "panic",
  on: true,
});
const page = (cursor: string, more: boolean, ...ids: number[]): ShownEvents =>
  ({ events: ids.map(event), cursor, more }) as unknown as ShownEvents;

/** What a scheduler does with a request: an answer, or anything else. */
type Step = ShownEvents | ((response: ServerResponse) => void);

let server: Server;
let asked: URLSearchParams[];
let steps: Step[];

beforeEach(async () => {
  asked = [];
  steps = [];
  server = createServer((request, response) => {
    asked.push(new URL(request.url as string, "http://h").searchParams);
    const step = steps.shift();
    if (typeof step === "function") step(response);
    else if (step) response.end(JSON.stringify(step));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const argumentsOf = (...argv: string[]) => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return readArguments(events, ["--url", url, ...argv]) as Arguments;
};

function run(...argv: string[]) {
  const printed: string[] = [];
  const said: string[] = [];
  const stop = new AbortController();
  const code = events.run(argumentsOf(...argv), {
    env: {},
    directory: "/nowhere",
    print: (line) => printed.push(line),
    say: (line) => said.push(line),
    signal: stop.signal,
    force: new AbortController().signal,
  });
  return { code, printed, said, stop, ids: () => printed.map((line) => JSON.parse(line).id) };
}

describe("evenkeel events", () => {
  it("prints the newest, one line each", async () => {
    steps = [page("c1", false, 1, 2)];
    const { code, printed } = run();
    expect(await code).toBe(0);
    expect(printed).toHaveLength(2);
    expect(printed[0]).toMatch(/ shop PANIC begins/);
    expect(asked.map(String)).toEqual(["limit=100"]);
  });

  it("goes through all pages since a time, as JSON where it is asked to", async () => {
    steps = [page("c1", true, 1, 2), page("c2", false, 3)];
    const { code, ids } = run("--since", "10m", "--json", "--pool", "shop");
    expect(await code).toBe(0);
    expect(ids()).toEqual(["shop/1-0", "shop/2-0", "shop/3-0"]);
    expect(asked.map((query) => query.get("after"))).toEqual([null, "c1"]);
    expect(asked.map((query) => query.get("pool"))).toEqual(["shop", "shop"]);
  });

  it("turns spans into times, and refuses what is none", () => {
    const query = queryOf(argumentsOf("--since", "10m", "--type", "health"), 1_000_000);
    expect(query).toEqual({ sinceMs: "400000", type: "health", limit: "1000" });
    expect(() => queryOf(argumentsOf("--since", "soon"), 0)).toThrow("such as 30s, 10m, 2h or 1d");
    expect(() => queryOf(argumentsOf("--limit", "0"), 0)).toThrow("--limit must be a whole number");
  });
});

describe("evenkeel events --follow", () => {
  it("goes on from the cursor, through a scheduler's death, and ends quietly when it is interrupted", async () => {
    steps = [
      page("c1", false, 1),
      (response) => response.destroy(),
      (response) => response.writeHead(503).end('{"error":"redis: away"}'),
      page("c2", false, 2),
    ];
    const { code, ids, said, stop } = run("--follow", "--json");
    await expect.poll(() => asked.length, { timeout: 10_000 }).toBe(5);
    expect(ids()).toEqual(["shop/1-0", "shop/2-0"]);
    expect(asked.map((query) => query.get("after"))).toEqual([null, "c1", "c1", "c1", "c2"]);
    expect(asked[1]?.get("waitMs")).toBe("5000");
    expect(said).toEqual([expect.stringContaining("no scheduler can be reached"), "redis: away"]);
    stop.abort();
    expect(await code).toBe(0);
    expect(said).toHaveLength(2);
  }, 20_000);

  it("does not wait while there is more", async () => {
    steps = [page("c1", true, 1), page("c2", false, 2)];
    const { code, ids, stop } = run("--follow", "--json");
    await expect.poll(() => asked.length).toBe(3);
    expect(asked.map((query) => query.get("waitMs"))).toEqual(["0", "0", "5000"]);
    expect(ids()).toEqual(["shop/1-0", "shop/2-0"]);
    stop.abort();
    await code;
  });

  it("tells of a refusal", async () => {
    steps = [(response) => response.writeHead(404).end('{"error":"there is no pool \\"shap\\""}')];
    await expect(run("--follow", "--pool", "shap").code).rejects.toThrow('there is no pool "shap"');
  });
});
