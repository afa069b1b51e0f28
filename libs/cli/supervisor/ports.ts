// Ports: free ones on this machine, and which ones the gateways of one machine will take.
import { once } from "node:events";
import { createServer } from "node:net";
import type { Listener } from "@evenkeel/core/config/resolve.ts";

/**
 * Below the range from which systems choose ports for outgoing connections: a process that was killed can have its
 * port back, nobody's connection has taken it meanwhile.
 */
const FIRST_PORT = 20_000;
const LAST_PORT = 31_999;
const ATTEMPTS = 200;

/** A port that is free now and not in `taken`, to which it is added. Whoever uses it must bear losing a race for it. */
export async function freePort(taken: Set<number> = new Set()): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT + 1));
    if (taken.has(port) || !(await isFree(port))) continue;
    taken.add(port);
    return port;
  }
  throw new Error(`no free port found between ${FIRST_PORT} and ${LAST_PORT}`);
}

export async function isFree(port: number, address = "127.0.0.1"): Promise<boolean> {
  const server = createServer();
  server.listen(port, address);
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}

/** A port that one gateway will listen on. */
export interface GatewayPort {
  listener: string;
  address: string;
  port: number;
  /** Counts from 0. */
  gateway: number;
}

/** Gateway n takes every listener's port + n. Port 0 is the system's choice and takes part in nothing. */
export function gatewayPorts(listeners: readonly Listener[], gateways: number): GatewayPort[] {
  return listeners
    .filter(({ port }) => port !== 0)
    .flatMap(({ name, address, port }) =>
      Array.from({ length: gateways }, (_, gateway) => ({
        listener: name,
        address,
        port: port + gateway,
        gateway,
      })),
    );
}

/** Why these gateways cannot share one machine; null when they can. */
export function portCollision(ports: readonly GatewayPort[]): string | null {
  const takenBy = new Map<number, GatewayPort>();
  for (const wanted of ports) {
    const { listener, port, gateway } = wanted;
    const who = `gateway ${gateway + 1} needs port ${port} for listener "${listener}"`;
    if (port > 65_535) return `${who}, past the last port 65535`;
    const other = takenBy.get(port);
    if (other && other.gateway !== gateway) {
      return `${who}, but gateway ${other.gateway + 1} needs it for listener "${other.listener}"; several gateways take consecutive ports, so put at least as many between two listeners`;
    }
    takenBy.set(port, wanted);
  }
  return null;
}
