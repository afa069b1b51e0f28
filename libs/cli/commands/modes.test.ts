import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Arguments, type Command, readArguments } from "../command.ts";
import { activate, drain } from "./modes.ts";

let server: Server;
let asked: string[];
let inflight: number[];

beforeEach(async () => {
  asked = [];
  inflight = [];
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const left = inflight.length > 1 ? inflight.shift() : inflight[0];
    const backend = { id: "b1", mode: "draining", inflight: left, drained: left === 0 };
    response.end(JSON.stringify({ pool: "shop", policy: "random", backends: [backend] }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

async function run(command: Command, ...argv: string[]) {
  const lines: string[] = [];
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const args = readArguments(command, ["shop", "b1", "--url", url, ...argv]) as Arguments;
  const { signal } = new AbortController();
  const code = await command.run(args, {
    env: {},
    directory: "/nowhere",
    print: (line) => lines.push(line),
    say: (line) => lines.push(line),
    signal,
    force: signal,
  });
  return { code, lines };
}

test("drain does not wait unless it is asked to", async () => {
  inflight = [3];
  expect(await run(drain)).toEqual({ code: 0, lines: ["b1 of pool shop is draining"] });
  expect(asked).toEqual(["POST /v1/pools/shop/backends/b1/drain"]);
});

test("drain --wait comes back when the backend is drained", async () => {
  inflight = [3, 3, 0];
  expect(await run(drain, "--wait")).toEqual({
    code: 0,
    lines: ["b1 of pool shop is draining", "b1 of pool shop has 3 in flight", "b1 of pool shop is drained"],
  });
  expect(new Set(asked.slice(1))).toEqual(new Set(["GET /v1/pools/shop"]));
});

test("drain --wait SECONDS fails when it is not drained by then", async () => {
  inflight = [3];
  const { code, lines } = await run(drain, "--wait", "1");
  expect(code).toBe(1);
  expect(lines.at(-1)).toBe("b1 of pool shop is not drained after 1 s");
});

test.each(["0", "86401"])("drain --wait %s is refused, and nothing is changed", async (seconds) => {
  await expect(run(drain, `--wait=${seconds}`)).rejects.toThrow(
    "--wait must be a whole number from 1 to 86400",
  );
  expect(asked).toEqual([]);
});

test("only drain waits", () => {
  expect(() => readArguments(activate, ["shop", "b1", "--wait"])).toThrow("unknown flag --wait");
});
