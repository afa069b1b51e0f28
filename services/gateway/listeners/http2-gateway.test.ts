// HTTP/2 through the whole gateway, to backends that speak HTTP/1.1.
import { createHash, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import {
  eventually,
  onRequestHead,
  startBackend,
  startGateway,
  startRawBackend,
} from "../test-support/data-path.ts";
import { http2Client } from "../test-support/http2.ts";

const MEBIBYTE = 1024 * 1024;
const hash = () => createHash("sha256");

describe("a client of HTTP/2", () => {
  it("uploads and downloads 20 MiB intact, many requests at once", async () => {
    const origin = await startBackend((incoming, response) => {
      const digest = hash();
      incoming.on("data", (chunk: Buffer) => digest.update(chunk));
      incoming.on("end", () => {
        response.setHeader("x-digest", digest.digest("hex"));
        response.end(incoming.method === "GET" ? body : undefined);
      });
    });
    const body = randomBytes(20 * MEBIBYTE);
    const digest = hash().update(body).digest("hex");
    const client = http2Client((await startGateway([origin])).port);
    const upload = async () => {
      const stream = client.request({ ":method": "PUT", ":path": "/up" });
      const answered = new Promise((resolve) =>
        stream.on("response", (headers) => resolve(headers["x-digest"])),
      );
      stream.resume().end(body);
      return answered;
    };
    const download = () =>
      new Promise((resolve, reject) => {
        const received = hash();
        const stream = client.request({ ":path": "/down" });
        stream.on("data", (chunk: Buffer) => received.update(chunk));
        stream.on("end", () => resolve(received.digest("hex"))).on("error", reject);
      });
    expect(await Promise.all([upload(), download(), upload(), download()])).toEqual(Array(4).fill(digest));
  });

  it("gets trailers, and sends them", async () => {
    let sent: unknown;
    const origin = await startBackend((incoming, response) => {
      incoming.resume().on("end", () => {
        sent = incoming.trailers;
        response.writeHead(200, { trailer: "x-sum" }).write("body");
        response.addTrailers({ "x-sum": "7" });
        response.end();
      });
    });
    const client = http2Client((await startGateway([origin])).port);
    const stream = client.request({ ":method": "POST", te: "trailers" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-mine": "8" }));
    const trailers = new Promise((resolve) => stream.on("trailers", resolve));
    stream.resume().end("body");
    expect(await trailers).toMatchObject({ "x-sum": "7" });
    expect(sent).toEqual({ "x-mine": "8" });
  });

  it("never takes an answer that the backend cut off for the whole", async () => {
    const origin = await startRawBackend((socket) =>
      onRequestHead(socket, (head) => {
        const length = head.includes("/length") ? "Content-Length: 100" : "Transfer-Encoding: chunked";
        socket.end(`HTTP/1.1 200 OK\r\n${length}\r\n\r\n5\r\nparts`);
      }),
    );
    const client = http2Client((await startGateway([origin])).port);
    for (const path of ["/length", "/chunked"]) {
      const stream = client.request({ ":path": path });
      stream.on("error", () => {});
      let ended = false;
      stream.resume().on("end", () => {
        ended = true;
      });
      await new Promise((resolve) => stream.on("close", resolve));
      expect([stream.rstCode, ended]).toEqual([2, false]);
    }
  });

  it("opens a WebSocket to a backend that knows only the upgrade of HTTP/1.1", async () => {
    let asked = "";
    const origin = await startRawBackend((socket) =>
      onRequestHead(socket, (head) => {
        asked = head;
        socket.write(
          "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello ",
        );
        socket.on("data", (chunk: Buffer) => socket.write(chunk));
      }),
    );
    const client = http2Client((await startGateway([origin])).port);
    await eventually(() => client.remoteSettings?.enableConnectProtocol === true, "the settings");
    const connect = { ":method": "CONNECT", ":protocol": "websocket", ":scheme": "http", ":path": "/chat" };
    const stream = client.request(
      { ...connect, ":authority": "h", "sec-websocket-version": "13" },
      { endStream: false },
    );
    let received = "";
    stream.on("data", (chunk: Buffer) => {
      received += chunk.toString();
    });
    stream.write("ping");
    await eventually(() => received === "hello ping", "the echo");
    expect(asked).toMatch(/^GET \/chat HTTP\/1\.1\r\n/);
    expect(asked.toLowerCase()).toMatch(/\r\nupgrade: websocket\r\n/);
    expect(asked.toLowerCase()).toMatch(/\r\nsec-websocket-key: \S{24}\r\n/);
    expect(asked.toLowerCase().split("sec-websocket-key")).toHaveLength(2); // two would be refused
    stream.destroy();
  });

  it("that cancels cancels at the backend too", async () => {
    let gone = false;
    let reached = false;
    const origin = await startRawBackend((socket) => {
      onRequestHead(socket, () => {
        reached = true;
      });
      socket.on("close", () => {
        gone = true;
      });
    });
    const { port, scheduling } = await startGateway([origin]);
    const stream = http2Client(port).request({});
    await eventually(() => reached, "the request at the backend");
    stream.close(8);
    await eventually(() => gone, "the end at the backend");
    expect(scheduling.released).toMatchObject([{ outcome: "canceled" }]);
  });
});
