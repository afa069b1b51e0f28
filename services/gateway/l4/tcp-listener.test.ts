import { describe, expect, it, vi } from "vitest";
import { proxyHeader } from "./proxy-protocol.ts";
import { eventually, startClient, startEcho, startStreams } from "./test-support/streams.ts";

const said = (client: { received(): string }, text: string) =>
  eventually(() => client.received() === text, `"${text}" to arrive; there is "${client.received()}"`);

describe("the PROXY protocol", () => {
  const source = { address: "203.0.113.9", port: 4_711 };
  const to = { address: "198.51.100.1", port: 443 };

  it("is required from whom it is trusted, and names the client to routes, logs and the backend", async () => {
    for (const version of ["v1", "v2"] as const) {
      const { port, report, settled } = await startStreams([await startEcho()], {
        listener: { proxyProtocol: { trusted: ["127.0.0.0/8"] } },
        pool: { sendProxyProtocol: version },
        routes: [{ match: { clients: ["203.0.113.0/24"] } }],
      });
      const header = proxyHeader("v2", source, to);
      const client = startClient(port, Buffer.concat([header, Buffer.from("hello")]));
      client.socket.end();
      await eventually(client.closed, "the connection to close");
      expect(client.received()).toBe(`${proxyHeader(version, source, to).toString("latin1")}hello`);
      await settled();
      expect(report.finishes).toMatchObject([{ client: "203.0.113.9", result: "ended", bytesIn: 5 }]);
    }
  });

  it("is data when it comes from others", async () => {
    const { port, report, settled } = await startStreams([await startEcho()], {
      listener: { proxyProtocol: { trusted: ["10.0.0.0/8"] } },
    });
    const header = proxyHeader("v1", source, to).toString("latin1");
    const client = startClient(port, header);
    client.socket.end();
    await said(client, header);
    await settled();
    expect(report.finishes).toMatchObject([{ client: "127.0.0.1" }]);
  });

  it("is refused when it is missing, broken, or does not come in time", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const { port, report, scheduling, settled } = await startStreams([await startEcho()], {
        listener: { proxyProtocol: { trusted: ["127.0.0.0/8"] } },
      });
      const missing = startClient(port, "hello");
      await eventually(missing.closed, "the connection to close");
      expect(missing.fault()).toBe("ECONNRESET");
      const silent = startClient(port);
      await eventually(() => report.opened() === 1, "the connection");
      vi.advanceTimersByTime(5_000);
      await eventually(silent.closed, "the connection to close");
      await settled();
      expect(scheduling.picked).toEqual([]);
      expect(report.finishes.map(({ result }) => result)).toEqual(["proxy-header", "proxy-header"]);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("limits", () => {
  it("hold for the listener, and a place is free again when a connection is gone", async () => {
    const { port, report, server, listener, settled } = await startStreams([await startEcho()], {
      listener: { streams: { maxConnections: 2 } },
    });
    const clients = [startClient(port, "a"), startClient(port, "a")];
    for (const client of clients) await said(client, "a");
    const third = startClient(port, "a");
    await eventually(third.closed, "the connection to close");
    expect(third.fault()).toBe("ECONNRESET");
    expect(report.finishes).toMatchObject([{ result: "listener-full" }]);
    clients[0]?.socket.end();
    await eventually(() => report.opened() === 1, "a place to be free");
    await said(startClient(port, "a"), "a");
    await server.update({ ...listener, streams: { ...listener.streams, maxConnections: 3 } });
    const fourth = startClient(port, "a");
    await said(fourth, "a");
    await server.close(0);
    await settled();
  });

  it("hold for each client address, as the PROXY protocol says it", async () => {
    const { port, report } = await startStreams([await startEcho()], {
      listener: { streams: { maxConnectionsPerAddress: 2 }, proxyProtocol: { trusted: ["127.0.0.0/8"] } },
    });
    const from = (address: string) => {
      const header = proxyHeader("v1", { address, port: 1 }, { address: "10.0.0.1", port: 2 });
      return startClient(port, Buffer.concat([header, Buffer.from("a")]));
    };
    const served = async (address: string) => {
      const client = from(address);
      await said(client, "a");
      return client;
    };
    const refused = async (address: string) => {
      const before = report.finishes.length;
      await eventually(from(address).closed, "the connection to be refused");
      expect(report.finishes[before]).toMatchObject({ result: "address-full" });
    };
    const first = await served("192.0.2.1");
    await served("192.0.2.1");
    await served("192.0.2.2");
    await refused("192.0.2.1");
    first.socket.end();
    await eventually(() => report.opened() === 2, "the first to be gone");
    await served("192.0.2.1");
    await refused("192.0.2.1");
  });

  it("are no way around access: a client that may not is reset before a backend hears of it", async () => {
    const { port, report, scheduling, settled } = await startStreams([await startEcho()], {
      allowed: (route, client) => route.name !== "r1" || client !== "127.0.0.1",
    });
    const client = startClient(port, "hello");
    await eventually(client.closed, "the connection to close");
    await settled();
    expect(report.finishes).toMatchObject([{ result: "denied", reason: "route r1" }]);
    expect(scheduling.picked).toEqual([]);
  });

  it("without a route there is nothing but a reset", async () => {
    const { port, report, settled } = await startStreams([await startEcho()], {
      routes: [{ match: { clients: ["10.0.0.0/8"] } }],
    });
    const client = startClient(port, "hello");
    await eventually(client.closed, "the connection to close");
    await settled();
    expect(report.finishes).toMatchObject([{ result: "no-route" }]);
  });
});

describe("a listener that closes", () => {
  it("accepts no more, and its connections live on until they end", async () => {
    const { port, server, settled } = await startStreams([await startEcho()]);
    const client = startClient(port, "a");
    await said(client, "a");
    let closed = false;
    const closing = server.close(60_000).then(() => {
      closed = true;
    });
    const refused = startClient(port);
    await eventually(refused.closed, "the connection to be refused");
    expect(refused.fault()).toBe("ECONNREFUSED");
    client.socket.write("b");
    await said(client, "ab");
    expect(closed).toBe(false);
    client.socket.end();
    await closing;
    await settled();
  });

  it("cuts off what is left at the deadline, greetings included", async () => {
    const { port, server, report, settled } = await startStreams([await startEcho()], {
      listener: { protocol: "tls" },
    });
    const waiting = startClient(port);
    await eventually(() => report.opened() === 1, "the connection");
    await server.close(1);
    await eventually(waiting.closed, "the connection to close");
    const other = await startStreams([await startEcho()]);
    const client = startClient(other.port, "a");
    await said(client, "a");
    await other.server.close(1);
    await eventually(client.closed, "the connection to close");
    expect(client.fault()).toBe("ECONNRESET");
    await settled();
    await other.settled();
    expect(other.report.finishes).toMatchObject([{ result: "cut" }]);
  });
});

describe("a port that is taken", () => {
  it("is an error with a code, and nothing is left open", async () => {
    const { port, reopen } = await startStreams([]);
    await expect(reopen(port)).rejects.toMatchObject({ code: "EADDRINUSE" });
  });
});
