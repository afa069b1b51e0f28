// A backend to try things with: answers every request after a fixed delay and says who it is. Told what to be by
// BACKEND_ID, BACKEND_PORT (0: the system chooses), BACKEND_DELAY_MS and BACKEND_ADDRESS.
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

const {
  BACKEND_ID = "backend",
  BACKEND_PORT = "0",
  BACKEND_DELAY_MS = "0",
  BACKEND_ADDRESS = "127.0.0.1",
} = process.env;
const delayMs = Number(BACKEND_DELAY_MS);

const answer = (response: ServerResponse) => {
  response.setHeader("content-type", "application/json");
  response.end(`${JSON.stringify({ backend: BACKEND_ID, servedBy: process.pid, delayMs })}\n`);
};

const server = createServer((request, response) => {
  request.resume();
  if (request.url === "/healthz") response.end("ok\n");
  else setTimeout(answer, delayMs, response);
});
// Longer than a gateway keeps an idle connection, so that this side never closes one that is about to be used.
server.keepAliveTimeout = 120_000;

server.listen(Number(BACKEND_PORT), BACKEND_ADDRESS, () => {
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  process.stderr.write(`backend ${BACKEND_ID} answers after ${delayMs} ms at ${url}\n`);
  process.send?.({ ready: true, url });
});

const stop = () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
};
process.on("SIGTERM", stop);
process.on("SIGINT", stop);
process.on("disconnect", () => process.exit(0));
