// The open listeners, brought in line with each configuration: new ones are opened, missing ones closed gently, and
// one whose address and port stay the same is never touched.
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Listener } from "@evenkeel/core/config/resolve.ts";
import { createHttpServer, type OnRefused } from "./server.ts";

/** How often connections that became idle are looked for while a listener closes. */
const IDLE_SWEEP_MS = 100;

/** What a request can know of the listener it came through. */
export interface Endpoint {
  readonly name: string;
  /** Answers should end their connection. */
  readonly closing: boolean;
}

export type Handler = (request: IncomingMessage, response: ServerResponse, endpoint: Endpoint) => void;

export interface OpenListener {
  name: string;
  /** Where it can be reached from this machine. */
  url: string;
}

export interface Listeners {
  /** Calls take effect one after another. Answers what could not be opened; the rest is open. */
  configure(wanted: readonly Listener[]): Promise<ListenError[]>;
  open(): OpenListener[];
  /** Accepts no more, lets requests in flight end until the deadline, then cuts them off. */
  close(deadlineMs: number): Promise<void>;
}

export interface ListenersOptions {
  handle: Handler;
  onRefused: OnRefused;
  /** Added to every port but 0. */
  portOffset: number;
  /** For requests in flight on a listener that the configuration dropped. */
  closeDeadlineMs: number;
}

interface Opened {
  endpoint: { name: string; closing: boolean };
  server: Server;
}

export class ListenError extends Error {
  override name = "ListenError";
}

export function createListeners(options: ListenersOptions): Listeners {
  const opened = new Map<string, Opened>();
  let last: Promise<unknown> = Promise.resolve();

  const drop = (key: string, one: Opened, deadlineMs: number) => {
    opened.delete(key);
    return closeGently(one, deadlineMs);
  };

  const configure = async (wanted: readonly Listener[]): Promise<ListenError[]> => {
    const byKey = new Map(wanted.map((listener) => [keyOf(listener), listener]));
    for (const [key, one] of opened) {
      const listener = byKey.get(key);
      if (listener) one.endpoint.name = listener.name;
      else void drop(key, one, options.closeDeadlineMs);
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

  return {
    configure(wanted) {
      const result = last.then(() => configure(wanted));
      last = result;
      return result;
    },
    open: () =>
      [...opened.values()].map(({ endpoint, server }) => ({ name: endpoint.name, url: urlOf(server) })),
    async close(deadlineMs) {
      await last;
      await Promise.all([...opened].map(([key, one]) => drop(key, one, deadlineMs)));
    },
  };
}

/** A port the system chooses cannot tell two listeners apart, so then the name does. */
const keyOf = ({ name, protocol, address, port }: Listener): string =>
  `${protocol}|${address}|${port === 0 ? name : port}`;

function openListener(listener: Listener, options: ListenersOptions): Promise<Opened | ListenError> {
  const endpoint = { name: listener.name, closing: false };
  const server = createHttpServer((request, response) => {
    options.handle(request, response, endpoint);
  }, options.onRefused);
  const port = listener.port === 0 ? 0 : listener.port + options.portOffset;
  return new Promise((resolve) => {
    const refused = (error: NodeJS.ErrnoException) =>
      resolve(new ListenError(explain(listener, port, error), { cause: error }));
    server.once("error", refused);
    try {
      server.listen({ port, host: listener.address }, () => {
        server.off("error", refused);
        resolve({ endpoint, server });
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
function closeGently({ endpoint, server }: Opened, deadlineMs: number): Promise<void> {
  endpoint.closing = true;
  return new Promise((resolve) => {
    const sweep = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS);
    const deadline = setTimeout(() => server.closeAllConnections(), deadlineMs);
    server.close(() => {
      clearInterval(sweep);
      clearTimeout(deadline);
      resolve();
    });
  });
}
