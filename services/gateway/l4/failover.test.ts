import { createSocket } from "node:dgram";
import { connect } from "node:net";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it, onTestFinished } from "vitest";
import { eventually, startGateway, startRawBackend } from "../test-support/data-path.ts";

/** Says its name to whoever connects. */
const named = async (name: string) =>
  (await startRawBackend((socket) => void socket.end(name))).replace("http:", "tcp:");

/** Answers each datagram with its name. */
async function namedUdp(name: string): Promise<string> {
  const socket = createSocket("udp4");
  socket.on("message", (_, from) => socket.send(name, from.port, from.address));
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  onTestFinished(() => void socket.close());
  return `udp://127.0.0.1:${socket.address().port}`;
}

const NOBODY = { tcp: "tcp://127.0.0.1:1", udp: "udp://127.0.0.1:1" };

/** Pool "p" (p1, p2), which fails over to "q" (q1). */
async function setUp(protocol: "tcp" | "udp", route: object, p: string[], q: string) {
  const document: Partial<ConfigDocument> = {
    listeners: [{ name: "l", protocol, port: 0, address: "127.0.0.1" }],
    routes: [{ name: "r", match: { listener: "l" }, proxy: "dynamic", pool: "p", ...route }],
    pools: [
      { name: "p", failoverTo: "q", backends: p.map((url, i) => ({ id: `p${i + 1}`, url })) },
      { name: "q", backends: [{ id: "q1", url: q }] },
    ],
  };
  return startGateway([], document, { drainDeadlineMs: 100 }); // sessions of datagrams have no end of their own
}

function saidTo(port: number): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect({ port, host: "127.0.0.1" });
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
  });
}

describe("connections to a pool that cannot serve", () => {
  it("go to the pool that it names, each decided when it comes", async () => {
    const { port, scheduling } = await setUp("tcp", {}, [await named("p")], await named("q"));
    expect(await saidTo(port)).toBe("p");
    scheduling.away.set("p", "q");
    expect(await saidTo(port)).toBe("q");
    scheduling.away.clear();
    expect(await saidTo(port)).toBe("p");
    await eventually(() => scheduling.held() === 0, "every pick to be given back");
  });

  it("go there when all of its backends refuse them, or none may take them", async () => {
    const { port, scheduling, metric } = await setUp("tcp", {}, [NOBODY.tcp], await named("q"));
    expect(await saidTo(port)).toBe("q");
    expect(scheduling.picked).toEqual(["p1", "q1"]);
    expect(await metric("evenkeel_gateway_retries_total", { pool: "p" })).toBe(1);
    const empty = await setUp("tcp", {}, [], await named("q"));
    expect(await saidTo(empty.port)).toBe("q");
  });

  it("of a static route that fails over go to anybody while its backend is not ready, or refuses", async () => {
    const route = { proxy: "static", backend: "p1", failover: true };
    const { port, scheduling } = await setUp(
      "tcp",
      route,
      [await named("p"), await named("too")],
      NOBODY.tcp,
    );
    expect(await saidTo(port)).toBe("p");
    expect(scheduling.wanted).toEqual([]);
    scheduling.unready.add("p1");
    await saidTo(port);
    expect(scheduling.wanted).toEqual([{}]);
    const refusing = await setUp("tcp", route, [NOBODY.tcp, await named("too")], NOBODY.tcp);
    expect(await saidTo(refusing.port)).toBe("too");
    expect(refusing.scheduling.wanted).toEqual([{ exclude: ["p1"] }]);
  });
});

describe("datagrams to a pool that cannot serve", () => {
  async function answerTo(port: number): Promise<string> {
    const client = createSocket("udp4");
    onTestFinished(() => void client.close());
    let answer = "";
    client.on("message", (datagram) => {
      answer = datagram.toString();
    });
    const ask = setInterval(() => client.send("?", port, "127.0.0.1"), 20);
    await eventually(() => answer !== "", "an answer").finally(() => clearInterval(ask));
    return answer;
  }

  it("go to the pool that it names, and where its backends refuse them", async () => {
    const { port, scheduling } = await setUp("udp", {}, [await namedUdp("p")], await namedUdp("q"));
    expect(await answerTo(port)).toBe("p");
    scheduling.away.set("p", "q");
    expect(await answerTo(port)).toBe("q");
    const refusing = await setUp("udp", {}, [NOBODY.udp], await namedUdp("q"));
    expect(await answerTo(refusing.port)).toBe("q");
    const bound = { proxy: "static", backend: "p1", failover: true };
    const held = await setUp("udp", bound, [NOBODY.udp], await namedUdp("q"));
    expect(await answerTo(held.port)).toBe("q");
  });
});
