import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { type Listener, resolveConfig } from "@evenkeel/core/config/resolve.ts";
import { expect, test } from "vitest";
import { freePort, gatewayPorts, isFree, portCollision } from "./ports.ts";

const listener = (name: string, port: number, address = "0.0.0.0"): Listener => {
  const listeners = [{ name, port, address, protocol: "http" as const }];
  return resolveConfig({ listeners, routes: [], pools: [] }).listeners[0] as Listener;
};

const collision = (listeners: Listener[], gateways: number) =>
  portCollision(gatewayPorts(listeners, gateways));

test("gateways take consecutive ports from each listener's", () => {
  const ports = gatewayPorts([listener("a", 8080), listener("b", 9000), listener("any", 0)], 2);
  expect(ports.map(({ port, gateway }) => [port, gateway])).toEqual([
    [8080, 0],
    [8081, 1],
    [9000, 0],
    [9001, 1],
  ]);
});

test("listeners with enough room between them do not collide", () => {
  expect(collision([listener("a", 8080), listener("b", 8083)], 3)).toBeNull();
  expect(collision([listener("a", 8080), listener("b", 8081)], 1)).toBeNull();
});

test("two listeners on one port of two addresses share it within each gateway", () => {
  expect(collision([listener("a", 8080, "127.0.0.1"), listener("b", 8080, "127.0.0.2")], 3)).toBeNull();
});

test("names the gateways and listeners that collide", () => {
  expect(collision([listener("a", 8080), listener("b", 8082)], 3)).toMatch(
    /gateway 1 needs port 8082 for listener "b", but gateway 3 needs it for listener "a"/,
  );
});

test("a row of ports past the last one is refused", () => {
  expect(collision([listener("a", 65_535)], 1)).toBeNull();
  expect(collision([listener("a", 65_535)], 2)).toContain("past the last port");
});

test("any number of gateways may let the system choose", () => {
  expect(collision([listener("a", 0), listener("b", 0)], 64)).toBeNull();
});

test("a free port is free, and none is given out twice", async () => {
  const taken = new Set<number>();
  for (let i = 0; i < 5; i++) expect(await isFree(await freePort(taken))).toBe(true);
  expect(taken.size).toBe(5);
});

test("a port that somebody listens on is not free", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  expect(await isFree((server.address() as AddressInfo).port)).toBe(false);
  server.close();
});
