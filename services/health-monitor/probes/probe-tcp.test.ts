import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import { afterEach, describe, expect, it } from "vitest";
import { closeAll, openConnections, refusedUrl, tcp } from "../test-support/servers.ts";
import { until } from "../test-support/until.ts";
import { prepareProbe } from "./probe.ts";

const AMPLE_MS = 5_000;
const SHORT_MS = 80;

afterEach(closeAll);

async function probe(url: string, health: object = {}) {
  const pool = resolvePool({
    name: "shop",
    backends: [],
    health: { protocol: "tcp", intervalMs: AMPLE_MS, timeoutMs: AMPLE_MS, ...health },
  });
  if (!pool.probing) throw new Error("the pool is probed");
  const { ok, reason } = await prepareProbe(url, pool.probing, pool.tls)();
  return { ok, reason };
}

describe("a TCP probe", () => {
  it.each(["tcp:", "udp:", "https:"])("connects to where %s// points", async (scheme) => {
    expect((await probe((await tcp()).replace("http:", scheme))).ok).toBe(true);
  });

  it("connects to its own port if its pool has one", async () => {
    const { port } = new URL(await tcp());
    expect((await probe("tcp://127.0.0.1:1", { port: Number(port) })).ok).toBe(true);
  });

  it("finds an accepted connection good, sends nothing and closes it", async () => {
    let received = 0;
    const url = await tcp((socket) => {
      socket.on("data", (chunk) => {
        received += chunk.length;
      });
    });
    expect(await probe(url)).toEqual({ ok: true, reason: "connected" });
    await until("it is closed", () => openConnections() === 0);
    expect(received).toBe(0);
  });

  it("sends what it is told to, and finds the expected answer in parts", async () => {
    let received = "";
    const url = await tcp((socket) => {
      socket.on("data", (chunk) => {
        received += chunk.toString();
        socket.write("+PO");
        setImmediate(() => socket.write("NG\r\n"));
      });
    });
    expect(await probe(url, { send: "PING\r\n", expect: "+PONG" })).toEqual({
      ok: true,
      reason: "answered as expected",
    });
    expect(received).toBe("PING\r\n");
  });

  it("sends also where no answer is expected", async () => {
    let received = "";
    const url = await tcp((socket) => {
      socket.on("data", (chunk) => {
        received += chunk.toString();
      });
    });
    expect((await probe(url, { send: "hello" })).ok).toBe(true);
    await until("it has come", () => received === "hello");
  });

  it("finds a greeting without sending", async () => {
    const url = await tcp((socket) => socket.write("220 mail.example ready\r\n"));
    expect((await probe(url, { expect: "220 " })).ok).toBe(true);
  });

  it("says why an answer is bad", async () => {
    const lacking = { ok: false, reason: "answer lacks the expected text" };
    const expecting = { expect: "+PONG", timeoutMs: SHORT_MS };
    expect(await probe(await tcp((socket) => socket.end("-ERR\r\n")), expecting)).toEqual(lacking);
    const endless = await tcp((socket) => socket.write(Buffer.alloc(64 * 1024, "x")));
    expect(await probe(endless, expecting)).toEqual(lacking);
    expect(await probe(await tcp((socket) => socket.end()), expecting)).toEqual({
      ok: false,
      reason: "closed without an answer",
    });
    expect(await probe(await tcp(), expecting)).toEqual({ ok: false, reason: "timeout" });
    const resetting = await tcp((socket) => socket.resetAndDestroy());
    expect((await probe(resetting, expecting)).ok).toBe(false);
  });

  it("finds a refused connection bad", async () => {
    expect(await probe(await refusedUrl())).toEqual({ ok: false, reason: "ECONNREFUSED" });
  });

  it.each(["not a url", "http://127.0.0.1:99999"])("answers instead of throwing for %s", async (url) => {
    expect((await probe(url)).ok).toBe(false);
  });
});
