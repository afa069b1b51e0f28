// The open listeners, brought in line with each configuration: new ones are opened, missing ones closed gently, and
// one whose address and port stay the same is never touched.
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Listener } from "@evenkeel/core/config/resolve.ts";
import type { Handler } from "./connection.ts";
import { createHttpServer, type HttpServer, type OnRefused } from "./server.ts";

/**
 * Once a listener accepts no more, its idle connections are served this much longer: a request may be on its way, and
 * whoever sends one is told with its answer to use the connection no more.
 */
const IDLE_LINGER_MS = 500;
/** How often a listener that could not be opened is tried again. */
export const RETRY_MS = 3_000;

export interface OpenListener {
  name: string;
  /** Where it can be reached from this machine. */
  url: string;
}

export interface Listeners {
  /** Calls take effect one after another. Answers what could not be opened; the rest is open. */
  configure(wanted: readonly Listener[]): Promise<ListenError[]>;
  open(): OpenListener[];
  /** What keeps a listener of the last configuration from opening; it is tried again until it opens. */
  failing(): readonly ListenError[];
  /**
   * Every answer from now on ends its connection. After the grace no connection is accepted any more, and requests in
   * flight, of listeners dropped before too, have until the deadline to end before they are cut off.
   */
  close(graceMs: number, deadlineMs: number): Promise<void>;
}

export interface ListenersOptions {
  handle: Handler;
  onRefused: OnRefused;
  /** Added to every port but 0. */
  portOffset: number;
  /** For requests in flight on a listener that the configuration dropped. */
  closeDeadlineMs: number;
}

interface Opened extends HttpServer {
  endpoint: { name: string; closing: boolean };
}

export class ListenError extends Error {
  override name = "ListenError";
}

export function createListeners(options: ListenersOptions): Listeners {
  const opened = new Map<string, Opened>();
  const dropped = new Set<Promise<void>>();
  let failing: ListenError[] = [];
  let retry: NodeJS.Timeout | undefined;
  let closing = false;
  let last: Promise<unknown> = Promise.resolve();

  const drop = (key: string, one: Opened, deadlineMs: number) => {
    opened.delete(key);
    const gone = closeGently(one, deadlineMs).then(() => void dropped.delete(gone));
    dropped.add(gone);
  };

  const bringInLine = async (wanted: readonly Listener[]): Promise<ListenError[]> => {
    const byKey = new Map(wanted.map((listener) => [keyOf(listener), listener]));
    for (const [key, one] of opened) {
      const listener = byKey.get(key);
      if (listener) one.endpoint.name = listener.name;
      else drop(key, one, options.closeDeadlineMs);
    }
    const errors: ListenError[] = [];
    for (const [key, listener] of byKey) {
      if (opened.has(key)) continue;
      const one = await openListener(listener, options);
      if (one instanceof ListenError) errors.push(one);
      else opened.set(key, one);
    }
    return errors;
  };

  const configure = (wanted: readonly Listener[]): Promise<ListenError[]> => {
    const result = last.then(async () => {
      clearTimeout(retry);
      if (closing) return [];
      failing = await bringInLine(wanted);
      if (failing.length > 0) retry = setTimeout(() => void configure(wanted), RETRY_MS).unref();
      return failing;
    });
    last = result;
    return result;
  };

  return {
    configure,
    open: () =>
      [...opened.values()].map(({ endpoint, server }) => ({ name: endpoint.name, url: urlOf(server) })),
    failing: () => failing,
    async close(graceMs, deadlineMs) {
      closing = true;
      await last;
      clearTimeout(retry);
      for (const { endpoint } of opened.values()) endpoint.closing = true;
      if (graceMs > 0) await sleep(graceMs);
      for (const [key, one] of opened) drop(key, one, deadlineMs);
      await Promise.all(dropped);
    },
  };
}

/** A port the system chooses cannot tell two listeners apart, so then the name does. */
const keyOf = ({ name, protocol, address, port }: Listener): string =>
  `${protocol}|${address}|${port === 0 ? name : port}`;

function openListener(listener: Listener, options: ListenersOptions): Promise<Opened | ListenError> {
  const endpoint = { name: listener.name, closing: false };
  const http = createHttpServer(options.handle, endpoint, options.onRefused);
  const { server } = http;
  const port = listener.port === 0 ? 0 : listener.port + options.portOffset;
  return new Promise((resolve) => {
    const refused = (error: NodeJS.ErrnoException) =>
      resolve(new ListenError(explain(listener, port, error), { cause: error }));
    server.once("error", refused);
    try {
      server.listen({ port, host: listener.address }, () => {
        server.off("error", refused);
        resolve({ endpoint, ...http });
      });
    } catch (error) {
      refused(error as NodeJS.ErrnoException);
    }
  });
}

function explain({ name, address }: Listener, port: number, error: NodeJS.ErrnoException): string {
  const where = `listener "${name}" cannot open port ${port} on ${address}`;
  switch (error.code) {
    case "EADDRINUSE":
      return `${where}: it is in use. Stop what uses it, change the listener's port, or set EVENKEEL_PORT_OFFSET`;
    case "EACCES":
      return `${where}: not permitted. Take a port from 1024 up, or grant CAP_NET_BIND_SERVICE`;
    case "EADDRNOTAVAIL":
      return `${where}: this machine does not have the address. Change the listener's address`;
    case "ERR_SOCKET_BAD_PORT":
      return `${where}: there is no such port. Lower the listener's port or EVENKEEL_PORT_OFFSET`;
    default:
      return `${where}: ${error.message}`;
  }
}

function urlOf(server: Server): string {
  const { address, port } = server.address() as AddressInfo;
  const local = address === "0.0.0.0" ? "127.0.0.1" : address === "::" ? "::1" : address;
  return `http://${local.includes(":") ? `[${local}]` : local}:${port}`;
}

/** Resolves when the last connection is gone. */
function closeGently({ endpoint, server, connections }: Opened, deadlineMs: number): Promise<void> {
  endpoint.closing = true;
  return new Promise((resolve) => {
    const linger = setTimeout(() => {
      for (const connection of connections.values()) connection.endWhenAnswered();
    }, IDLE_LINGER_MS);
    const deadline = setTimeout(() => {
      for (const socket of connections.keys()) socket.destroy();
    }, deadlineMs);
    server.close(() => {
      clearTimeout(linger);
      clearTimeout(deadline);
      resolve();
    });
  });
}
