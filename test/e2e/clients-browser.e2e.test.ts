// A page in a headless Chromium, served through the gateway: its events, its WebSocket and its requests.
import { createHash, randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { afterAll, beforeAll, describe, expect, inject } from "vitest";
import { WebSocketServer } from "ws";
import { type Browser, chromium, type Page, startBrowser } from "../support/browser.ts";
import { certificateFile, type Front, openFront } from "../support/front.ts";
import { itUnless } from "../support/have.ts";
import { type Origin, openOrigin } from "../support/origins.ts";

const EVENTS = 5;
const RETRY_MS = 200;
const BIG = randomBytes(2 * 1024 * 1024);

/** Each event is acknowledged by a request of its own: the next is sent only then. */
const PAGE = `<!doctype html><meta charset="utf-8"><title>start</title><script>
  window.events = [];
  const source = new EventSource("/events");
  source.onmessage = async ({ data, lastEventId }) => {
    events.push([data, lastEventId]);
    await fetch("/acknowledge?" + lastEventId, { method: "POST" });
  };
  window.opened = 0;
  source.onopen = () => { opened += 1; };
  const socket = new WebSocket("/socket");
  window.echoes = [];
  socket.onopen = () => socket.send("hello");
  socket.onmessage = ({ data }) => echoes.push(data);
  window.protocolOf = (path) =>
    performance.getEntriesByType("resource").find(({ name }) => new URL(name).pathname === path)?.nextHopProtocol;
  window.upload = async (size) => {
    const body = new Uint8Array(size).map((_, i) => i * 7);
    const digest = async (bytes) => [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))].join();
    const answer = await fetch("/echo", { method: "POST", body });
    return (await digest(body)) === (await digest(await answer.arrayBuffer()));
  };
  window.download = async () => {
    const bytes = await (await fetch("/big")).arrayBuffer();
    return [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))];
  };
</script>`;

let stream: ServerResponse | null = null;
/** Last-Event-ID of each time the events were asked for. */
const resumedAt: string[] = [];

function sendEvent(id: number): void {
  stream?.write(`id: ${id}\ndata: event ${id}\n\n`);
}

const ANSWERS: Record<string, (request: IncomingMessage, response: ServerResponse) => void> = {
  "/": (_, response) => void response.setHeader("content-type", "text/html").end(PAGE),
  "/events": ({ headers }, response) => {
    const last = String(headers["last-event-id"] ?? 0);
    resumedAt.push(last);
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    response.write(`retry: ${RETRY_MS}\n\n`);
    stream = response;
    sendEvent(Number(last) + 1);
  },
  "/acknowledge": ({ url }, response) => {
    const id = Number(url?.split("?")[1]);
    response.end();
    if (id % EVENTS !== 0) sendEvent(id + 1);
  },
  "/echo": (request, response) => void request.pipe(response),
  "/big": (_, response) => void response.end(BIG),
};

let front: Front;
let origin: Origin;
let browser: Browser;

const withChromium = itUnless(chromium === null && "no Chromium on this machine");

beforeAll(async () => {
  if (chromium === null) return;
  const server = createServer((request, response) => {
    const answer = ANSWERS[request.url?.split("?")[0] ?? "/"];
    if (answer) answer(request, response);
    else response.writeHead(404).end();
  });
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => {
    socket.on("error", () => {});
    socket.on("message", (data) => socket.send(`${data}, browser`));
  });
  origin = await openOrigin(server);
  const certificates = [{ cert: certificateFile("a.pem"), key: certificateFile("a.key") }];
  front = await openFront(
    {
      listeners: [
        { name: "web", protocol: "http", port: 0 },
        { name: "secure", protocol: "http", port: 0, tls: { certificates } },
      ],
      routes: [{ name: "all", match: {}, proxy: "dynamic", pool: "site" }],
      pools: [{ name: "site", backends: [{ id: "b1", url: `http://127.0.0.1:${origin.port}` }] }],
    },
    inject("redisUrl"),
  );
  browser = await startBrowser();
});

afterAll(async () => {
  await browser?.end();
  await front?.end();
  await origin?.kill();
});

describe.each([
  { listener: "web", scheme: "http", protocol: "http/1.1" },
  { listener: "secure", scheme: "https", protocol: "h2" },
])("a page in Chromium over $protocol", ({ listener, scheme, protocol }) => {
  let page: Page;
  afterAll(() => page?.close());

  withChromium("gets each server-sent event when it is sent", async () => {
    resumedAt.length = 0;
    page = await browser.open(`${scheme}://localhost:${front.port(listener)}/`);
    await page.until(`window.events && events.length === ${EVENTS}`);
    const expected = Array.from({ length: EVENTS }, (_, i) => [`event ${i + 1}`, `${i + 1}`]);
    expect(await page.evaluate("events")).toEqual(expected);
    expect(await page.evaluate('protocolOf("/acknowledge")')).toBe(protocol);
  });

  withChromium("talks over a WebSocket", async () => {
    await page.until("echoes.length === 1");
    expect(await page.evaluate("echoes")).toEqual(["hello, browser"]);
  });

  withChromium("uploads and downloads", async () => {
    expect(await page.evaluate("upload(1_000_000)")).toBe(true);
    const digest = [...createHash("sha256").update(BIG).digest()];
    expect(await page.evaluate("download()")).toEqual(digest);
  });

  withChromium(
    "asks for the events again when the backend was started anew, from the last one on",
    async () => {
      expect(resumedAt).toEqual(["0"]);
      await origin.kill();
      await origin.restart();
      await page.until(`events.length === ${2 * EVENTS}`);
      expect(resumedAt).toEqual(["0", String(EVENTS)]);
      expect(await page.evaluate("events.at(-1)")).toEqual([`event ${2 * EVENTS}`, String(2 * EVENTS)]);
      expect(await page.evaluate("opened")).toBe(2);
    },
  );
});
