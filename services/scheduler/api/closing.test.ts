import { Agent, request } from "node:http";
import type { Ledger, SettleResult } from "@evenkeel/core/ledger/ledger.ts";
import { KIND } from "@evenkeel/core/wire/frames.ts";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { type ApiScene, settleBody, startApi } from "../test-support/api-scene.ts";
import { openFrames } from "../test-support/frame-client.ts";

/** A ledger whose settles wait until the test lets them go. */
function held() {
  const asked = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const wrap = (ledger: Ledger): Ledger => ({
    ...ledger,
    async settle(pool, statements): Promise<SettleResult | null> {
      asked.resolve();
      await gate.promise;
      return ledger.settle(pool, statements);
    },
  });
  return { asked: asked.promise, letGo: gate.resolve, wrap };
}

function settleOver(agent: Agent, { port }: ApiScene) {
  const body = JSON.stringify(settleBody());
  return new Promise<{ status: number | undefined; connection: string | undefined; picks: unknown[] }>(
    (resolve, reject) => {
      const outgoing = request(
        {
          agent,
          port,
          host: "127.0.0.1",
          method: "POST",
          path: "/v1/pools/shop/settle",
          headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
        },
        (response) => {
          let text = "";
          response.on("data", (chunk) => {
            text += chunk;
          });
          response.on("end", () =>
            resolve({
              status: response.statusCode,
              connection: response.headers.connection,
              picks: JSON.parse(text).picks,
            }),
          );
        },
      );
      outgoing.on("error", reject);
      outgoing.end(body);
    },
  );
}

describe("stopping", () => {
  it("answers the settles in flight, tells their connections to end, and takes no new ones", async () => {
    const { asked, letGo, wrap } = held();
    const scene = await startApi({ wrap });
    const agent = new Agent({ keepAlive: true });
    const inFlight = settleOver(agent, scene);
    await asked;
    const closed = scene.close();
    await expect.poll(() => scene.server.server.listening).toBe(false);
    await expect(fetch(`${scene.url}/healthz`)).rejects.toThrow();
    letGo();
    expect(await inFlight).toMatchObject({ status: 200, connection: "close", picks: [expect.any(String)] });
    await closed;
    agent.destroy();
  });

  it("closes idle keep-alive connections", async () => {
    const scene = await startApi();
    const agent = new Agent({ keepAlive: true });
    expect((await settleOver(agent, scene)).connection).toBe("keep-alive");
    const [socket] = Object.values(agent.freeSockets).flat();
    const ended = new Promise((resolve) => socket?.once("close", resolve));
    await scene.close();
    await ended;
  });

  it("tells gateways to leave, and answers what they still ask until they have", async () => {
    const { asked, letGo, wrap } = held();
    const scene = await startApi({ wrap });
    const client = await openFrames(scene.port);
    const first = client.settle("shop", settleBody());
    await asked;
    const closed = scene.close();
    await client.frame(({ kind }) => kind === KIND.closing);
    const crossed = client.settle("billing", settleBody()); // sent before the gateway knew
    letGo();
    expect(await first).toMatchObject({ kind: KIND.answer, body: { picks: [expect.any(String)] } });
    expect(await crossed).toMatchObject({ kind: KIND.answer, body: { picks: ["billing-1"] } });
    client.socket.end();
    await closed;
    await client.ended;
  });

  it("does not wait for ever for a gateway that does not leave", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const scene = await startApi();
    const client = await openFrames(scene.port);
    const closed = scene.close();
    await client.frame(({ kind }) => kind === KIND.closing).catch(() => {});
    await vi.advanceTimersByTimeAsync(5_000);
    await closed;
    await client.ended;
  });
});
