// Who opens the ports of connections. The first process of a gateway opens them as anyone does, so that a port in use is
// refused; its other processes accept on the very same sockets, handed over to them. Since the processes share one queue
// of connections, none of them takes any along when it ends, one that hangs keeps none waiting, and their number may
// change at any time. (With SO_REUSEPORT each would have a queue of its own, lost with it.)
import type { SendHandle } from "node:child_process";
import type { Server } from "node:net";

/** Connections that the system keeps until they are accepted. */
const BACKLOG = 1_024;

/** What of a listener tells its socket from others. */
export interface SocketAddress {
  name: string;
  address: string;
}

/**
 * Lets a server accept on a listener's port. Rejects with what the system says; nothing is left open then.
 * @param port 0: the system chooses
 */
export type Bind = (server: Server, at: SocketAddress, port: number) => Promise<void>;

/** By this name the processes of a gateway speak of a socket. A port the system chooses is told by its listener. */
const keyOf = ({ name, address }: SocketAddress, port: number): string =>
  `${address}|${port === 0 ? name : port}`;

/** A socket that another process accepts on too. */
export interface SharedSocket {
  key: string;
  /** Tells it from an earlier one of the same key. */
  serial: number;
  /** Null once it is closed. */
  handle(): SendHandle | null;
}

export interface OwnSockets {
  bind: Bind;
  /** Whether other processes accept on them too. */
  setShared(shared: boolean): void;
  /** All that are open. */
  open(): SharedSocket[];
}

export interface OwnSocketsOptions {
  /** Told of each socket, once it is open. */
  onOpened(): void;
  /** After each connection while others accept too. @see createTurns */
  giveTurn(): void;
}

/** For the process that opens the ports. */
export function createOwnSockets({ onOpened, giveTurn }: OwnSocketsOptions): OwnSockets {
  const sockets = new Map<string, SharedSocket>();
  let serial = 0;
  let shared = false;
  const onConnection = () => {
    if (shared) giveTurn();
  };
  return {
    setShared(on) {
      shared = on;
    },
    async bind(server, at, port) {
      server.on("connection", onConnection);
      await bindAlone(server, at, port);
      serial += 1;
      const socket = { key: keyOf(at, port), serial, handle: () => handleOf(server) };
      sockets.set(socket.key, socket);
      onOpened();
    },
    open() {
      for (const [key, socket] of sockets) if (socket.handle() === null) sockets.delete(key);
      return [...sockets.values()];
    },
  };
}

export interface GivenSockets {
  bind: Bind;
  give(key: string, handle: SendHandle): void;
  /** Lets go of all others that are not in use: what nobody accepts on must not stay open. */
  keep(keys: readonly string[]): void;
}

/** For a process that opens ports for itself alone. */
export const bindAlone: Bind = (server, { address }, port) =>
  listening(server, () => server.listen({ port, host: address, backlog: BACKLOG }));

/** For the processes that the ports are handed to. @param giveTurn after each connection */
export function createGivenSockets(giveTurn: () => void): GivenSockets {
  const given = new Map<string, Handle>();
  const take = (key: string): Handle | null => {
    const handle = given.get(key) ?? null;
    given.delete(key);
    return handle;
  };
  return {
    async bind(server, at, port) {
      const handle = take(keyOf(at, port));
      if (handle === null) throw new Error("the first process of this gateway has not opened it");
      server.on("connection", giveTurn);
      await listening(server, () => server.listen(handle, BACKLOG));
    },
    give(key, handle) {
      take(key)?.close();
      given.set(key, handle as unknown as Handle);
    },
    keep(keys) {
      for (const key of given.keys()) if (!keys.includes(key)) take(key)?.close();
    },
  };
}

/** A socket as Node has it inside: it listens only once a server is made of it, so it can wait for that. */
interface Handle {
  close(): void;
}

const handleOf = (server: Server): SendHandle | null =>
  (server as unknown as { _handle: SendHandle | null })._handle;

function listening(server: Server, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve();
    });
    listen();
  });
}
