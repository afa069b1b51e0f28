import type { IncomingMessage } from "node:http";
import { describe, expect, it } from "vitest";
import {
  eventually,
  onRequestHead,
  send,
  sendRaw,
  startBackend,
  startGateway,
  startRawBackend,
} from "../test-support/data-path.ts";

/** A backend that shows what it received. */
async function mirror() {
  const seen: IncomingMessage[] = [];
  const origin = await startBackend((request, response) => {
    seen.push(request);
    response.end("ok");
  });
  return { origin, seen };
}

describe("request headers", () => {
  it("arrive as the client sent them: order, spelling and repetition, Host included", async () => {
    const { origin, seen } = await mirror();
    const { port } = await startGateway([origin]);
    const lines = [
      "Host: Shop.Example.com:99",
      "X-Aa: 1",
      "x-BB: 2",
      "X-Aa: 3",
      "Cookie: a=b",
      "Accept: caf\xe9",
    ];
    const client = sendRaw(port, `GET /p/%41?q=%2F HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
    await eventually(() => client.received().includes("ok"), "an answer");
    const raw = seen[0]?.rawHeaders ?? [];
    const pairs = raw.map((name, i) => `${name}: ${raw[i + 1]}`).filter((_, i) => i % 2 === 0);
    expect(pairs).toEqual(expect.arrayContaining(["host: Shop.Example.com:99", ...lines.slice(1)]));
    expect(pairs.filter((pair) => pair.startsWith("X-Aa"))).toEqual(["X-Aa: 1", "X-Aa: 3"]);
    expect(seen[0]?.url).toBe("/p/A?q=%2F");
  });

  it("that end at this hop do not arrive, nor those that Connection names", async () => {
    const { origin, seen } = await mirror();
    const { url } = await startGateway([origin]);
    await send(url, {
      method: "POST",
      body: "abc",
      headers: {
        connection: "close, X-Private",
        "x-private": "secret",
        "keep-alive": "timeout=9",
        "proxy-connection": "keep-alive",
        "proxy-authorization": "Basic abc",
        te: "gzip, trailers",
        trailer: "x-t",
        upgrade: "h2c",
        "x-kept": "yes",
      },
    });
    const headers = seen[0]?.headers ?? {};
    expect(headers).toMatchObject({ "x-kept": "yes", te: "trailers" });
    expect(headers.connection).toBe("te");
    for (const name of [
      "x-private",
      "keep-alive",
      "proxy-connection",
      "proxy-authorization",
      "trailer",
      "upgrade",
    ]) {
      expect(headers).not.toHaveProperty(name);
    }
  });

  it("TE without trailers does not arrive", async () => {
    const { origin, seen } = await mirror();
    const { url } = await startGateway([origin]);
    await send(url, { headers: { te: "gzip" } });
    expect(seen[0]?.headers).not.toHaveProperty("te");
  });

  it("Connection cannot take away what the proxy adds, nor Host, nor the framing", async () => {
    const { origin, seen } = await mirror();
    const { url } = await startGateway([origin]);
    await send(url, {
      method: "POST",
      body: "abc",
      headers: {
        host: "shop.example.com",
        connection: "X-Forwarded-For, Forwarded, Host, Content-Length",
        "x-forwarded-for": "1.2.3.4",
      },
    });
    expect(seen[0]?.headers).toMatchObject({
      "x-forwarded-for": "127.0.0.1",
      host: "shop.example.com",
      "content-length": "3",
    });
    expect(seen[0]?.headers.forwarded).toBe('for=127.0.0.1;host="shop.example.com";proto=http');
  });

  it("about forwarding are replaced when the peer is not trusted, extended when it is", async () => {
    const { origin, seen } = await mirror();
    const told = {
      host: "in.example",
      "x-forwarded-for": "203.0.113.9",
      "x-forwarded-proto": "https",
      "x-forwarded-prefix": "/x",
      "x-real-ip": "203.0.113.9",
      X_Forwarded_For: "203.0.113.9",
      forwarded: "for=203.0.113.9",
    };
    const wary = await startGateway([origin]);
    await send(wary.url, { headers: told });
    expect(seen[0]?.headers).toMatchObject({
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-proto": "http",
      "x-forwarded-host": "in.example",
      "x-forwarded-port": String(wary.port),
    });
    for (const name of ["x-real-ip", "x-forwarded-prefix", "x_forwarded_for"]) {
      expect(seen[0]?.headers).not.toHaveProperty(name);
    }
    const trusting = await startGateway([origin], { trustedProxies: ["127.0.0.0/8"] });
    await send(trusting.url, { headers: told });
    expect(seen[1]?.headers).toMatchObject({
      "x-forwarded-for": "203.0.113.9, 127.0.0.1",
      "x-forwarded-proto": "https",
      "x-forwarded-prefix": "/x",
      "x-real-ip": "203.0.113.9",
      forwarded: 'for=203.0.113.9, for=127.0.0.1;host="in.example";proto=http',
    });
    expect(seen[1]?.headers).not.toHaveProperty("x_forwarded_for");
  });

  it("Expect is met by the gateway and not passed on", async () => {
    const { origin, seen } = await mirror();
    const { port } = await startGateway([origin]);
    const client = sendRaw(
      port,
      "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
    );
    await eventually(() => client.received().startsWith("HTTP/1.1 100 Continue\r\n\r\n"), "the go-ahead");
    client.socket.write("hi");
    await eventually(() => client.received().includes("HTTP/1.1 200"), "an answer");
    expect(seen[0]?.headers).not.toHaveProperty("expect");
  });
});

describe("response headers", () => {
  const rawAnswer = (head: string) =>
    startRawBackend((socket) => onRequestHead(socket, () => socket.end(`HTTP/1.1 ${head}\r\n\r\n`)));

  it("reach the client as the backend sent them, repetition included", async () => {
    const origin = await rawAnswer(
      "203 Fine\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-Mixed: x\r\nContent-Length: 0",
    );
    const { port } = await startGateway([origin]);
    const client = sendRaw(port, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await eventually(() => client.received().includes("\r\n\r\n"), "an answer");
    const lines = client.received().split("\r\n");
    expect(lines[0]).toBe("HTTP/1.1 203 Fine");
    expect(lines).toEqual(expect.arrayContaining(["Set-Cookie: a=1", "set-cookie: b=2", "X-Mixed: x"]));
  });

  it.each(["Caf\u00e9 \u2713", ""])(
    "follow a status line with any legal reason phrase: %j",
    async (phrase) => {
      const origin = await rawAnswer(`200 ${phrase}\r\nX-Own: 1\r\nContent-Length: 0`);
      const { port } = await startGateway([origin]);
      const client = sendRaw(port, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      await eventually(() => client.received().includes("\r\n\r\n"), "an answer");
      expect(client.received()).toMatch(/^HTTP\/1\.1 200 .*\r\nX-Own: 1\r\n/);
    },
  );

  it("that end at this hop do not reach the client, nor those that Connection names", async () => {
    const origin = await rawAnswer(
      "200 OK\r\nConnection: close, X-Inner\r\nX-Inner: 1\r\nKeep-Alive: timeout=77\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\nX-Outer: 1\r\nContent-Length: 0",
    );
    const { port } = await startGateway([origin]);
    const client = sendRaw(port, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await eventually(() => client.received().includes("\r\n\r\n"), "an answer");
    const head = client.received().toLowerCase();
    expect(head).toContain("x-outer: 1");
    expect(head).not.toContain("connection:");
    for (const gone of ["x-inner", "timeout=77", "proxy-authenticate", "upgrade"])
      expect(head).not.toContain(gone);
  });

  it("name the backend once when debugHeaders is on, and not at all when it is off", async () => {
    const origin = await rawAnswer("200 OK\r\nX-Evenkeel-Backend: forged\r\nContent-Length: 0");
    const on = await startGateway([origin]);
    const answer = await send(on.url);
    expect(answer.rawHeaders.filter((name) => name.toLowerCase() === "x-evenkeel-backend")).toHaveLength(1);
    expect(answer.headers["x-evenkeel-backend"]).toBe("b1");
    const plain = await startBackend((_, response) => response.end());
    const off = await startGateway([plain], { debugHeaders: false });
    expect((await send(off.url)).headers).not.toHaveProperty("x-evenkeel-backend");
  });

  it("interim answers are kept from the client and the final one arrives", async () => {
    const origin = await startBackend((_, response) => {
      response.writeEarlyHints({ link: "</a.css>; rel=preload" });
      response.end("final");
    });
    const { url } = await startGateway([origin]);
    expect(await send(url)).toMatchObject({ status: 200, text: "final" });
  });

  it("of HEAD, 204 and 304 come without a body and leave the connection usable", async () => {
    const origin = await startBackend((request, response) => {
      if (request.url === "/304") response.writeHead(304, { etag: '"x"' }).end();
      else if (request.url === "/204") response.writeHead(204).end();
      else
        response.writeHead(200, { "content-length": 5 }).end(request.method === "HEAD" ? undefined : "hello");
    });
    const { port } = await startGateway([origin]);
    const get = (method: string, path: string) => `${method} ${path} HTTP/1.1\r\nHost: h\r\n\r\n`;
    const client = sendRaw(
      port,
      get("HEAD", "/") + get("GET", "/204") + get("GET", "/304") + get("GET", "/"),
    );
    await eventually(() => client.received().endsWith("hello"), "all four answers");
    expect(client.received().match(/HTTP\/1\.1 \d+/g)).toEqual([
      "HTTP/1.1 200",
      "HTTP/1.1 204",
      "HTTP/1.1 304",
      "HTTP/1.1 200",
    ]);
    expect(client.received().split("hello")).toHaveLength(2);
  });

  it("trailers of the backend follow the body, without those that may not stand there", async () => {
    const origin = await startBackend((_, response) => {
      response.writeHead(200, { trailer: "x-sum, content-type" });
      response.write("body");
      response.addTrailers({ "x-sum": "42", "content-type": "text/evil" });
      response.end();
    });
    const { port } = await startGateway([origin]);
    const client = sendRaw(port, "GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n");
    await eventually(() => client.received().includes("\r\n0\r\n"), "the last chunk");
    await eventually(() => client.received().endsWith("\r\n\r\n"), "the end");
    expect(client.received()).toContain("\r\n0\r\nx-sum: 42\r\n\r\n");
  });
});
