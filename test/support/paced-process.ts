// Backends with a pace: each serves so many requests at once, each for the time that the request asks for (`?ms=`)
// times the backend's slowness; the rest wait their turn. One process for all of them: told over IPC what to be, it
// names its ports.
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Pace {
  slots: number;
  /** 2: takes twice as long. */
  slowness: number;
}

interface Waiting {
  response: ServerResponse;
  ms: number;
}

function paced({ slots, slowness }: Pace) {
  const queue: Waiting[] = [];
  let busy = 0;
  const serve = ({ response, ms }: Waiting) => {
    busy += 1;
    setTimeout(() => {
      busy -= 1;
      response.end("ok");
      const next = queue.shift();
      if (next) serve(next);
    }, ms * slowness);
  };
  const server = createServer((request, response) => {
    const ms = Number(new URL(request.url ?? "/", "http://localhost").searchParams.get("ms") ?? 0);
    if (busy < slots) serve({ response, ms });
    else queue.push({ response, ms });
  });
  server.keepAliveTimeout = 60_000;
  return server;
}

const [paces] = (await once(process, "message")) as [Pace[]];
const servers = paces.map(paced);
for (const server of servers) server.listen(0, "127.0.0.1");
await Promise.all(servers.map((server) => server.listening || once(server, "listening")));
process.send?.(servers.map((server) => (server.address() as AddressInfo).port));
process.on("disconnect", () => process.exit(0));
