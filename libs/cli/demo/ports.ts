// The ports of the demo: those of the example where they are free, others where they are not.
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { freePort, isFree } from "../supervisor/ports.ts";

const STEP = 10;
const ATTEMPTS = 50;

/** The document with ports that are free; says which are not those of the example. */
export async function chooseDemoPorts(
  document: ConfigDocument,
  gateways: number,
  print: (line: string) => void,
): Promise<ConfigDocument> {
  const taken = new Set<number>();
  const listeners: ConfigDocument["listeners"] = [];
  for (const listener of document.listeners) {
    const port = await freeRow(listener.port, gateways, listener.address ?? "127.0.0.1");
    if (port !== listener.port)
      print(`port ${listener.port} is not free: the gateways listen from ${port} on`);
    for (let n = 0; n < gateways; n++) taken.add(port + n);
    listeners.push({ ...listener, port });
  }
  const pools: ConfigDocument["pools"] = [];
  for (const pool of document.pools) {
    const backends: typeof pool.backends = [];
    for (const backend of pool.backends) {
      const wanted = Number(new URL(backend.url).port);
      const port = (await isFree(wanted)) ? wanted : await freePort(taken);
      taken.add(port);
      backends.push({ ...backend, url: `http://127.0.0.1:${port}` });
    }
    pools.push({ ...pool, backends });
  }
  return { ...document, listeners, pools };
}

/** The first of `count` free ports in a row. */
async function freeRow(wanted: number, count: number, address: string): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const first = wanted + attempt * STEP;
    const free = await Promise.all(Array.from({ length: count }, (_, n) => isFree(first + n, address)));
    if (free.every(Boolean)) return first;
  }
  throw new Error(`no ${count} free ports in a row found from ${wanted} on`);
}
