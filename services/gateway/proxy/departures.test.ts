import { request } from "node:http";
import { describe, expect, it } from "vitest";
import {
  closedOrigin,
  eventually,
  onRequestHead,
  sendRaw,
  startBackend,
  startGateway,
  startRawBackend,
} from "../test-support/data-path.ts";

const healthy = () =>
  startBackend((request, response) => void request.resume().on("end", () => response.end("ok")));

/** Counts requests and resets each connection once the header section is there. */
async function resetting() {
  let requests = 0;
  const origin = await startRawBackend((socket) =>
    onRequestHead(socket, () => {
      requests += 1;
      socket.resetAndDestroy();
    }),
  );
  return { origin, requests: () => requests };
}

describe("a client that leaves", () => {
  it("before the answer: the backend's connection is closed at once and nothing is held against it", async () => {
    let backendClosed = false;
    const origin = await startRawBackend((socket) => {
      socket.on("close", () => {
        backendClosed = true;
      });
      onRequestHead(socket, () => {});
    });
    const { url, scheduling, metric, logged } = await startGateway([origin]);
    const outgoing = request(url, { agent: false });
    outgoing.on("error", () => {});
    outgoing.end();
    await eventually(() => scheduling.held() === 1, "the pick");
    outgoing.destroy();
    await eventually(() => backendClosed, "the backend's connection to close");
    expect(scheduling.released).toMatchObject([{ backend: "b1", outcome: "canceled", ttfbMs: null }]);
    expect(logged).toMatchObject([{ status: 499, backend: "b1", attempts: 1 }]);
    expect(await metric("evenkeel_gateway_client_aborts_total")).toBe(1);
  });

  it("in the middle of the answer: as canceled", async () => {
    let backendClosed = false;
    const origin = await startBackend((_, response) => {
      response.write("part");
      response.on("close", () => {
        backendClosed = true;
      });
    });
    const { port, scheduling } = await startGateway([origin]);
    const client = sendRaw(port, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await eventually(() => client.received().includes("part"), "the part");
    client.socket.destroy();
    await eventually(() => backendClosed, "the backend's connection to close");
    expect(scheduling.released).toMatchObject([{ outcome: "canceled", ttfbMs: expect.any(Number) }]);
  });

  it("in the middle of a streamed upload: as canceled", async () => {
    let backendClosed = false;
    const origin = await startBackend((incoming) => {
      incoming.on("error", () => {});
      incoming.on("close", () => {
        backendClosed = true;
      });
    });
    const { port, scheduling } = await startGateway([origin]);
    const client = sendRaw(
      port,
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    );
    await eventually(() => scheduling.held() === 1, "the pick");
    client.socket.destroy();
    await eventually(() => backendClosed, "the backend's connection to close");
    expect(scheduling.released).toMatchObject([{ outcome: "canceled" }]);
  });

  it("in the middle of a small body: nothing was picked", async () => {
    const { port, scheduling, logged } = await startGateway([await healthy()]);
    const client = sendRaw(port, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    await eventually(
      () => client.socket.bytesWritten > 0 && !client.socket.connecting,
      "the part to be sent",
    );
    client.socket.end();
    await eventually(() => logged.length === 1, "the end of the request");
    expect(logged).toMatchObject([{ status: 499, attempts: 0 }]);
    expect(scheduling.picked).toEqual([]);
  });

  it("while the decision is on its way: the pick is released when it comes", async () => {
    const { url, scheduling, logged } = await startGateway([await healthy()]);
    const decide = scheduling.hesitate();
    const outgoing = request(url, { agent: false });
    outgoing.on("error", () => {});
    outgoing.end();
    await eventually(() => scheduling.waiting() === 1, "the want");
    outgoing.destroy();
    await eventually(() => logged.length === 1, "the end of the request");
    decide();
    expect(scheduling.released).toMatchObject([{ outcome: "canceled" }]);
    expect(scheduling.held()).toBe(0);
  });
});

describe("every pick is released exactly once", () => {
  it("whatever mix of success, failure and departure", async () => {
    const reset = await resetting();
    const flaky = await startBackend((incoming, response) => {
      if (incoming.url === "/cut") {
        response.writeHead(200, { "content-length": 9 }).write("x");
        setImmediate(() => response.destroy());
      } else if (incoming.url !== "/hang") {
        response.end("ok");
      }
    });
    const { url, scheduling, logged } = await startGateway([reset.origin, flaky, await closedOrigin()]);
    const paths = ["/ok", "/cut", "/hang", "/ok", "/cut"];
    const methods = ["GET", "POST"];
    const all = Array.from({ length: 60 }, (_, i) => {
      const path = paths[i % paths.length] as string;
      const method = methods[i % methods.length] as string;
      return new Promise<void>((resolve) => {
        const outgoing = request(new URL(path, url), { method, agent: false }, (response) => {
          response.on("error", () => {});
          response.resume().on("close", resolve);
        });
        outgoing.on("error", () => resolve());
        outgoing.end();
        if (path === "/hang") outgoing.on("finish", () => setTimeout(() => outgoing.destroy(), i));
      });
    });
    await Promise.all(all);
    await eventually(() => logged.length === 60, "the end of all requests");
    expect(scheduling.held()).toBe(0);
    expect(scheduling.released).toHaveLength(scheduling.picked.length);
  });
});
