import { describe, expect, it } from "vitest";
import {
  documentFor,
  eventually,
  sendRaw,
  startGateway,
  startRawBackend,
} from "../test-support/data-path.ts";

/** A gateway before a backend that is told of clients by the PROXY protocol; the first lines of its connections. */
async function telling(config: Parameters<typeof startGateway>[1] = {}) {
  const lines: string[] = [];
  const origin = await startRawBackend((socket) => {
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      if (!text.endsWith("\r\n\r\n")) return;
      lines.push(text.slice(0, text.indexOf("\r\n")));
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
  });
  const pools = documentFor([origin]).pools.map((pool) => ({ ...pool, sendProxyProtocol: "v1" as const }));
  return { ...(await startGateway([], { ...documentFor([origin]), pools, ...config })), lines };
}

describe("a pool that is told of its clients by the PROXY protocol", () => {
  it("gets address and port of both ends of the client's connection, on one of its own for each request", async () => {
    const { port, lines } = await telling();
    const client = sendRaw(port, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await eventually(() => client.received().endsWith("ok"), "the first answer");
    client.socket.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await eventually(() => lines.length === 2, "the second request");
    const told = `PROXY TCP4 127.0.0.1 127.0.0.1 ${client.socket.localPort} ${port}`;
    expect(lines).toEqual([told, told]);
  });

  it("gets the client behind trusted proxies, of whom nobody knows the port", async () => {
    const { port, lines } = await telling({ trustedProxies: ["127.0.0.1/32"] });
    sendRaw(port, "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n");
    await eventually(() => lines.length === 1, "the request");
    expect(lines).toEqual([`PROXY TCP4 203.0.113.9 127.0.0.1 0 ${port}`]);
  });

  it("gets on what a balancer in front has said in the same way", async () => {
    const listeners = [
      {
        ...({ name: "web", protocol: "http", port: 0, address: "127.0.0.1" } as const),
        proxyProtocol: { trusted: ["127.0.0.1/32"] },
      },
    ];
    const { port, lines } = await telling({ listeners });
    const said = "PROXY TCP4 203.0.113.9 198.51.100.1 4711 443";
    sendRaw(port, `${said}\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n`);
    await eventually(() => lines.length === 1, "the request");
    expect(lines).toEqual([said]);
  });
});
