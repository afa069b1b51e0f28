import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { startBackend } from "./backend.ts";
import { startIdleBackend } from "./idle-backend.ts";
import { createLoad } from "./load.ts";
import { cpuUs, divideCores, isInstalled } from "./machine.ts";
import { slopeOf } from "./memory.ts";
import { peers } from "./peers.ts";

const canMeasure = process.platform === "linux" && isInstalled("taskset");

describe("the line through points", () => {
  it("rises as they do, whatever they are scattered by", () => {
    expect(slopeOf([1, 2, 3, 4].map((x) => [x, 10 + 3 * x]))).toBeCloseTo(3);
    expect(slopeOf([1, 2, 3, 4].map((x) => [x, x % 2]))).toBeCloseTo(-0.2);
  });
});

describe("a proxy that is not installed", () => {
  it("is named with the command that installs it", () => {
    const missing = peers("/nonexistent").map(({ name, missing }) => [name, missing()] as const);
    expect(new Map(missing).get("http-proxy-3")).toMatch(/npm install .*http-proxy-3/);
    expect(new Map(missing).get("@fastify/http-proxy")).toMatch(/npm install .*fastify @fastify\/http-proxy/);
  });
});

describe.skipIf(!canMeasure)("on Linux", () => {
  it("processor time of a process grows as it works, and the processes it has started count", () => {
    const before = cpuUs(process.pid);
    const untilMs = performance.now() + 100;
    while (performance.now() < untilMs);
    expect(cpuUs(process.pid) - before).toBeGreaterThanOrEqual(50_000);
    expect(cpuUs(process.ppid)).toBeGreaterThanOrEqual(before);
  });

  it("the bare backend answers each request once, however heads and bodies are cut", async () => {
    const backend = await startBackend({ answerBytes: 12, uploads: true }, divideCores().others);
    try {
      const requests =
        "GET /a HTTP/1.1\r\nHost: h\r\n\r\nPOST /b HTTP/1.1\r\ncontent-length: 5\r\n\r\nhelloGET /c HTTP/1.1\r\n\r\n";
      const socket = connect(backend.port, "127.0.0.1");
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk;
      });
      const answers = () => text.split("hello world.").length - 1;
      socket.write(requests);
      while (answers() < 3) await once(socket, "data");
      for (const byte of requests) {
        socket.write(byte);
        await new Promise((resolve) => setImmediate(resolve));
      }
      while (answers() < 6) await once(socket, "data");
      expect(text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(6);
      socket.destroy();
    } finally {
      await backend.stop();
    }
  });

  it("the generator keeps the rate it is asked for, and counts every answer", async () => {
    const { others } = divideCores();
    const backend = await startBackend({ answerBytes: 70_000, uploads: true }, others);
    const load = createLoad(others);
    try {
      const task = { port: backend.port, path: "/", connections: 4, bodyBytes: 100_000, durationMs: 500 };
      const { requests, failures, perSecond } = await load.paced(task, 200);
      expect(failures).toBe(0);
      expect(requests).toBeGreaterThan(60);
      expect(perSecond).toBeLessThan(300);
    } finally {
      await load.stop();
      await backend.stop();
    }
  });

  it("the idle backend agrees to an upgrade and sends what it is asked for", async () => {
    const backend = await startIdleBackend(divideCores().others);
    try {
      const ask = async (lines: string, enough: (text: string) => boolean) => {
        const socket = connect(backend.port, "127.0.0.1");
        socket.write(`GET / HTTP/1.1\r\nhost: h\r\n${lines}\r\n`);
        let text = "";
        while (!enough(text)) text += ((await once(socket, "data")) as [Buffer])[0].toString("latin1");
        socket.destroy();
        return text;
      };
      expect(await ask("upgrade: websocket\r\n", (text) => text.includes("\r\n\r\n"))).toMatch(
        /^HTTP\/1\.1 101 /,
      );
      const download = await ask("x-bench: download 100000\r\n", (text) => text.length >= 100_000 + 43);
      expect(download.split("\r\n\r\n")[1]).toHaveLength(100_000);
    } finally {
      await backend.stop();
    }
  });
});
