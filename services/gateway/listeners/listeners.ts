// The open listeners, brought in line with each configuration: new ones are opened, missing ones closed gently, and
// one whose address, port and protocol stay the same is changed while it is open.
import { setTimeout as sleep } from "node:timers/promises";
import type { Listener } from "@evenkeel/core/config/resolve.ts";
import type { Opener, OpenServer } from "./opened.ts";

/** How often a listener that could not be opened, or not be changed, is tried again. */
export const RETRY_MS = 3_000;

export interface OpenListener {
  name: string;
  /** Where it can be reached from this machine. */
  url: string;
}

export interface Listeners {
  /**
   * Calls take effect one after another. Answers what could not be opened, or not be changed and goes on as it was; the
   * rest is as wanted.
   */
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
  /** By protocol. */
  openers: Readonly<Record<Listener["protocol"], Opener>>;
  /** Added to every port but 0. */
  portOffset: number;
  /** For requests in flight on a listener that the configuration dropped. */
  closeDeadlineMs: number;
  /** After each try: how many are not as they were wanted. */
  onFailing: (count: number) => void;
}

interface Opened {
  listener: Listener;
  server: OpenServer;
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
    const gone = one.server.close(deadlineMs).then(() => void dropped.delete(gone));
    dropped.add(gone);
  };

  /** @returns what keeps listeners from opening, and what open ones could not put to use */
  const bringInLine = async (wanted: readonly Listener[]): Promise<[ListenError[], ListenError[]]> => {
    const byKey = new Map(wanted.map((listener) => [keyOf(listener), listener]));
    for (const [key, one] of opened) {
      if (!byKey.has(key)) drop(key, one, options.closeDeadlineMs);
    }
    const unopened: ListenError[] = [];
    const unchanged: ListenError[] = [];
    for (const [key, listener] of byKey) {
      const one = opened.get(key);
      if (one) {
        one.listener = listener;
        const error = await change(one.server, listener);
        if (error) unchanged.push(error);
        continue;
      }
      const server = await openListener(listener, options);
      if (server instanceof ListenError) unopened.push(server);
      else opened.set(key, { listener, server });
    }
    return [unopened, unchanged];
  };

  const configure = (wanted: readonly Listener[]): Promise<ListenError[]> => {
    const result = last.then(async () => {
      clearTimeout(retry);
      if (closing) return [];
      const [unopened, unchanged] = await bringInLine(wanted);
      failing = unopened;
      options.onFailing(unopened.length + unchanged.length);
      if (unopened.length + unchanged.length > 0)
        retry = setTimeout(() => void configure(wanted), RETRY_MS).unref();
      return [...unopened, ...unchanged];
    });
    last = result;
    return result;
  };

  return {
    configure,
    open: () =>
      [...opened.values()].map(({ listener, server }) => ({
        name: listener.name,
        url: urlOf(listener, server.port),
      })),
    failing: () => failing,
    async close(graceMs, deadlineMs) {
      closing = true;
      await last;
      clearTimeout(retry);
      for (const { server } of opened.values()) server.setClosing();
      if (graceMs > 0) await sleep(graceMs);
      for (const [key, one] of opened) drop(key, one, deadlineMs);
      await Promise.all(dropped);
    },
  };
}

/** A port the system chooses cannot tell two listeners apart, so then the name does. */
const keyOf = ({ name, protocol, address, port }: Listener): string =>
  `${protocol}|${address}|${port === 0 ? name : port}`;

async function openListener(
  listener: Listener,
  { openers, portOffset }: ListenersOptions,
): Promise<OpenServer | ListenError> {
  const port = listener.port === 0 ? 0 : listener.port + portOffset;
  try {
    return await openers[listener.protocol](listener, port);
  } catch (error) {
    return new ListenError(explain(listener, port, error as NodeJS.ErrnoException), { cause: error });
  }
}

async function change(server: OpenServer, listener: Listener): Promise<ListenError | null> {
  try {
    await server.update(listener);
    return null;
  } catch (error) {
    const message = `listener "${listener.name}" goes on as before its last change: ${(error as Error).message}`;
    return new ListenError(message, { cause: error });
  }
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

function urlOf({ protocol, address, tls }: Listener, port: number): string {
  const scheme =
    protocol === "http" ? (tls ? "https" : "http") : protocol === "tcp" && tls ? "tls" : protocol;
  const local = address === "0.0.0.0" ? "127.0.0.1" : address === "::" ? "::1" : address;
  return `${scheme}://${local.includes(":") ? `[${local}]` : local}:${port}`;
}
