import { describe, expect, it } from "vitest";
import {
  chunkedPost,
  client,
  eventually,
  get,
  post,
  type Seen,
  settled,
  startHttp1,
} from "./test-support/http1.ts";

const paths = (requests: Seen[]) => requests.map(({ incoming }) => incoming.head.target);
const answerAll = { onRequest: (seen: Seen) => seen.answer("ok") };
const LARGE = 20 * 1024 * 1024;

describe("requests on one connection", () => {
  it("are served one after the other, in their order, also when all came at once", async () => {
    const { port, requests } = await startHttp1();
    const put = `${post("Content-Length: 1")}a`;
    const { received } = client(port, get("/1") + put + get("/3"));
    for (const count of [1, 2, 3]) {
      await eventually(() => requests.length === count, "the next request");
      requests[count - 1]?.answer(`answer ${count}`);
    }
    await eventually(() => received().includes("answer 3"), "the last answer");
    expect(paths(requests)).toEqual(["/1", "/", "/3"]);
    expect(received()).toMatch(/answer 1.*answer 2.*answer 3/s);
  });

  it("may be many that are answered at once", async () => {
    const { port, requests } = await startHttp1(answerAll);
    const { received } = client(port, get().repeat(5_000));
    await eventually(() => received().split("\r\n\r\nok").length === 5_001, "all answers");
    expect(requests).toHaveLength(5_000);
  });

  it("come in pieces of any size", async () => {
    const { port, requests } = await startHttp1({ onRequest: (seen) => seen.incoming.read() });
    const { send, received } = client(port);
    const text = `\r\n${get("/a")}${chunkedPost}2\r\nab\r\n0\r\n\r\n${get("/c")}`;
    for (const [i, character] of [...text].entries()) {
      send(character);
      if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
      requests.find(({ told }) => told.includes("end"))?.answer("ok");
    }
    await eventually(() => {
      requests.find(({ told }) => told.includes("end"))?.answer("ok");
      for (const seen of requests) if (seen.told.includes("end")) seen.answer("ok");
      return requests.length === 3 && received().split("200 OK").length === 4;
    }, "all three answers");
    expect(requests[1]?.body).toBe("ab");
  });

  it("are not read ahead without bound: the client is stopped", async () => {
    const { port, requests, sockets } = await startHttp1();
    client(port, get().repeat(50_000));
    await eventually(() => requests.length === 1, "the first request");
    expect(await settled(() => sockets[0]?.bytesRead ?? 0)).toBeLessThan(250_000);
    expect(requests).toHaveLength(1);
  });

  it("that wait are forgotten when the client leaves", async () => {
    const { port, requests } = await startHttp1();
    const { socket } = client(port, get().repeat(3));
    await eventually(() => requests.length === 1, "the request");
    socket.resetAndDestroy();
    await eventually(() => requests[0]?.told.length === 1, "the end of the first");
    requests[0]?.answer("late");
    expect(requests).toHaveLength(1);
    expect(requests[0]?.told[0]).toMatch(/^gone/);
  });

  it("after one that ends the connection are not begun", async () => {
    const { port, requests } = await startHttp1();
    const { received, closed } = client(port, get("/", "Connection: close") + get("/never"));
    await eventually(() => requests.length === 1, "the request");
    requests[0]?.answer("whole");
    await eventually(closed, "the connection to close");
    expect(received()).toMatch(/connection: close\r\n.*whole$/s);
    expect(requests).toHaveLength(1);
  });

  it("that broke off do not take along the answers before them", async () => {
    const { port, requests } = await startHttp1();
    const { received, reset } = client(port, get("/whole") + get("/cut"));
    await eventually(() => requests.length === 1, "the first request");
    requests[0]?.answer("whole");
    await eventually(() => requests.length === 2, "the second request");
    const { incoming } = requests[1] as Seen;
    incoming.sendHead({ status: 200, reason: "", fields: [], bodyLength: 9, tunnel: false });
    incoming.write(Buffer.from("part"));
    incoming.abort();
    await eventually(reset, "the reset");
    expect(received()).toContain("whole");
  });

  it("wait until their client has read the answers before", async () => {
    const body = "x".repeat(LARGE);
    const { port, requests } = await startHttp1({ onRequest: (seen) => seen.answer(body) });
    const { socket, received } = client(port, get().repeat(2));
    socket.pause();
    await eventually(() => requests.length === 1, "the first request");
    for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(requests).toHaveLength(1);
    socket.resume();
    await eventually(() => received().length > 2 * LARGE, "both answers");
  });

  it("may begin with bytes that were read before", async () => {
    const { port, requests } = await startHttp1({ ...answerAll, first: "GET /fir" });
    const { received } = client(port, "st HTTP/1.1\r\nHost: h\r\n\r\n");
    await eventually(() => received().endsWith("ok"), "the answer");
    expect(paths(requests)).toEqual(["/first"]);
  });
});

describe("a connection", () => {
  it.each([
    ["HTTP/1.1", "", true],
    ["HTTP/1.1", "Connection: close\r\n", false],
    ["HTTP/1.0", "", false],
    ["HTTP/1.0", "Connection: keep-alive\r\n", true],
  ])("of %s with %j lives on after the answer: %s", async (version, line, lives) => {
    const { port, requests } = await startHttp1(answerAll);
    const { send, received, closed } = client(port, `GET / ${version}\r\nHost: h\r\n${line}\r\n`);
    await eventually(() => received().endsWith("ok"), "the answer");
    expect(received().includes("connection: close")).toBe(!lives);
    if (lives) send(get());
    await eventually(() => (lives ? requests.length === 2 : closed()), "the next request or the end");
  });

  it("says with its answer that it closes when its listener does", async () => {
    const { port, requests, endpoint } = await startHttp1();
    const { received, closed } = client(port, get());
    await eventually(() => requests.length === 1, "the request");
    endpoint.closing = true;
    requests[0]?.answer("ok");
    await eventually(closed, "the connection to close");
    expect(received()).toContain("connection: close");
  });

  it("closes after an answer that had begun before its listener was closing", async () => {
    const { port, requests, endpoint } = await startHttp1();
    const { received, closed } = client(port, get());
    await eventually(() => requests.length === 1, "the request");
    const { incoming } = requests[0] as Seen;
    incoming.sendHead({ status: 200, reason: "", fields: [], bodyLength: 4, tunnel: false });
    incoming.write(Buffer.from("fi"));
    await eventually(() => received().endsWith("fi"), "the begin of the answer");
    endpoint.closing = true;
    incoming.write(Buffer.from("ne"));
    incoming.end(null);
    await eventually(closed, "the connection to close");
    expect(received()).toMatch(/fine$/);
  });

  it("told to end does so at once when idle, and after the answer when not", async () => {
    const { port, requests, connections } = await startHttp1();
    const idle = client(port);
    await eventually(() => connections.length === 1, "the idle connection");
    const busy = client(port, get() + get("/never"));
    await eventually(() => requests.length === 1, "the request");
    for (const connection of connections) connection.endWhenAnswered();
    await eventually(idle.closed, "the idle one to close");
    expect(busy.ended()).toBe(false);
    requests[0]?.answer("whole");
    await eventually(busy.closed, "the busy one to close");
    expect(busy.received()).toMatch(/connection: close.*whole$/s);
    expect(requests).toHaveLength(1);
  });

  it("told to end still serves a request that was on its way", async () => {
    const { port, connections, sockets } = await startHttp1(answerAll);
    const { send, received, closed } = client(port, "GET / HT");
    await eventually(() => sockets[0]?.bytesRead === 8, "the begin of the request");
    connections[0]?.endWhenAnswered();
    send("TP/1.1\r\nHost: h\r\n\r\n");
    await eventually(closed, "the connection to close");
    expect(received()).toMatch(/connection: close.*ok$/s);
  });

  it("that is destroyed tells who serves its request", async () => {
    const { port, requests, connections } = await startHttp1();
    const { reset } = client(port, get());
    await eventually(() => requests.length === 1, "the request");
    connections[0]?.destroy();
    await eventually(() => requests[0]?.told.length === 1, "word of it");
    expect(requests[0]?.told).toEqual(["gone: the listener has closed the connection"]);
    await eventually(reset, "the reset");
  });

  it("closes after the last answer although the client goes on sending", async () => {
    const { port } = await startHttp1(answerAll);
    const { socket, received, closed, reset } = client(port, get("/", "Connection: close"));
    const more = setInterval(() => socket.write("x".repeat(1_000)), 1);
    await eventually(closed, "the connection to close");
    clearInterval(more);
    expect(reset()).toBe(false);
    expect(received()).toMatch(/ok$/);
  });
});

describe("what is no request", () => {
  const large = "x".repeat(17_000);
  it.each([
    ["nonsense\r\n\r\n", 400],
    ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400],
    ["GET / HTTP/1.1\nHost: h\n\n", 400],
    ["GET / HTTP/1.1\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", 400],
    [post("Content-Length: 1", "Transfer-Encoding: chunked"), 400],
    [post("Content-Length: 1", "Content-Length: 1"), 400],
    [get("/", `X: ${large}`), 431],
    [`GET /${large} HTTP/1.1\r\nHost: h\r\n\r\n`, 431],
    [`GET / HTTP/1.1\r\nX: ${large}`, 431],
    [get("/", ...Array.from({ length: 100 }, (_, i) => `X-${i}: 1`)), 431],
    [post("Content-Length: 1", "Expect: gold"), 417],
    [post("Transfer-Encoding: gzip, chunked"), 501],
    ["CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", 501],
    ["GET / HTTP/3.0\r\nHost: h\r\n\r\n", 505],
  ])("%.40j is answered %i, which is counted, and the connection closed", async (text, status) => {
    const { port, requests, refused } = await startHttp1();
    const { received, closed } = client(port, text + get("/smuggled"));
    await eventually(closed, "the connection to close");
    const [head = "", body = ""] = received().split("\r\n\r\n");
    expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [A-Z].*\r\nconnection: close\r\n`));
    expect(head).toContain(`content-length: ${body.length}`);
    expect(body).toMatch(new RegExp(`^${status} .*: .{10,}\n$`));
    expect([refused, requests]).toEqual([[status], []]);
  });

  it("is answered after the answer to the request before it", async () => {
    const { port, requests } = await startHttp1();
    const { received, closed } = client(port, `${get()}nonsense\r\n\r\n`);
    await eventually(() => requests.length === 1, "the request");
    requests[0]?.answer("whole");
    await eventually(closed, "the connection to close");
    expect(received()).toMatch(/200 OK.*whole.*HTTP\/1\.1 400 /s);
  });
});

describe("a client that leaves", () => {
  it("with a reset is known to be gone at once", async () => {
    const { port, requests } = await startHttp1();
    const { socket } = client(port, get());
    await eventually(() => requests.length === 1, "the request");
    socket.resetAndDestroy();
    await eventually(() => requests[0]?.told.length === 1, "word of it");
    expect(requests[0]?.told[0]).toMatch(/^gone: /);
  });

  it("by closing the connection before or within the answer is soon known to be gone", async () => {
    const { port, requests } = await startHttp1();
    const clients = [client(port, get("/before")), client(port, get("/within"))];
    await eventually(() => requests.length === 2, "the requests");
    const within = requests.find(({ incoming }) => incoming.head.target === "/within")?.incoming;
    within?.sendHead({ status: 200, reason: "", fields: [], bodyLength: 9, tunnel: false });
    within?.write(Buffer.from("part"));
    await eventually(() => clients[1]?.received().endsWith("part") === true, "the part");
    for (const { socket } of clients) socket.destroy();
    await eventually(() => requests.every(({ told }) => told.length === 1), "word of both");
    for (const { told } of requests) expect(told[0]).toMatch(/^gone: /);
  });

  it("within its body is gone, in whichever way", async () => {
    const { port, requests } = await startHttp1({ onRequest: ({ incoming }) => incoming.read() });
    client(port, `${post("Content-Length: 5")}ab`).socket.end();
    client(port, `${chunkedPost}2\r\nab\r\n`).socket.end();
    await eventually(
      () => requests.length === 2 && requests.every(({ told }) => told.length > 0),
      "word of it",
    );
    for (const { told } of requests) {
      expect(told).toEqual(["gone: the client closed the connection before the end of its request"]);
    }
  });

  it("within a body nobody reads yet is gone too", async () => {
    const { port, requests } = await startHttp1();
    client(port, `${post("Content-Length: 5")}ab`).socket.end();
    await eventually(() => requests[0]?.told.length === 1, "word of it");
    expect(requests[0]?.told[0]).toMatch(/before the end of its request/);
  });

  it.each(["", "GET / HTTP/1.1\r\nHo"])("having sent %j gets no answer", async (text) => {
    const { port, requests, refused } = await startHttp1();
    const { socket, received, closed } = client(port, "", true);
    socket.end(text);
    await eventually(closed, "the connection to close");
    expect([received(), requests, refused]).toEqual(["", [], []]);
  });
});

describe("a client that closes only its own side", () => {
  it("still gets the answers to all it has sent", async () => {
    const { port, requests } = await startHttp1();
    const { socket, received, closed } = client(port, "", true);
    socket.end(`${get("/1")}${post("Content-Length: 2")}ab${get("/3")}`);
    for (const count of [1, 2, 3]) {
      await eventually(() => requests.length === count, "the next request");
      requests[count - 1]?.answer(`answer ${count}`);
    }
    await eventually(closed, "the connection to close");
    expect(received()).toMatch(/answer 1.*answer 2.*answer 3$/s);
  });

  it("gets a long answer that goes on for long", async () => {
    const { port, requests } = await startHttp1();
    const { socket, received, closed } = client(port, "", true);
    socket.end(get());
    await eventually(() => requests.length === 1, "the request");
    const { incoming } = requests[0] as Seen;
    incoming.sendHead({ status: 200, reason: "", fields: [], bodyLength: 10, tunnel: false });
    for (let i = 0; i < 10; i += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      incoming.write(Buffer.from(String(i)));
    }
    incoming.end(null);
    await eventually(closed, "the connection to close");
    expect(received()).toMatch(/0123456789$/);
  });
});
