// A webhook's receiver on a real socket, which answers as it is told to and notes what it gets.
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

export interface Received {
  headers: IncomingHttpHeaders;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: bodies are what the tests are about
  body: any;
  atMs: number;
}

/** 0: no answer at all. */
export type Answer = { status: number; headers?: Record<string, string> };

export async function startReceiver(first: Answer = { status: 204 }) {
  const received: Received[] = [];
  let answer = first;
  const create = () =>
    createServer(async (request, response) => {
      let text = "";
      for await (const chunk of request) text += chunk;
      received.push({ headers: request.headers, text, body: JSON.parse(text), atMs: Date.now() });
      if (answer.status === 0) return;
      response.writeHead(answer.status, answer.headers ?? {});
      response.end();
    });
  let server = create().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const down = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  };
  return {
    url: `http://127.0.0.1:${port}/hook?token=hidden`,
    received,
    ids: () => received.map(({ body }) => body.id as string),
    answers(next: Answer) {
      answer = next;
    },
    down,
    async up() {
      server = create().listen(port, "127.0.0.1");
      await once(server, "listening");
    },
    async [Symbol.asyncDispose]() {
      if (server.listening) await down();
    },
  };
}
