// Who opens the ports of connections, where several processes of a gateway serve them. Each has a socket of its own on
// the port (SO_REUSEPORT), so that the system spreads connections evenly; with one socket for all, whoever is awake would
// take nearly all of them. A process that leaves in order gives its socket, with what waits in it, to the first process,
// which accepts on it until it lends it to another: none is reset. Where the system has no such option, all processes
// accept on the socket of the first one.
import type { SendHandle } from "node:child_process";
import { type AddressInfo, createServer, type Server, type ServerOpts } from "node:net";

/** Connections that the system keeps until they are accepted. */
const BACKLOG = 1_024;

/** What of a listener tells its port from others. */
export interface SocketAddress {
  name: string;
  address: string;
}

/** A server that accepts; to accept no more, it must let go of its port and then be closed. */
export interface Bound {
  release(): void;
}

/**
 * Lets a server accept on a listener's port. Its `connection` events may come from other sockets than its own, which
 * count in none of its numbers. Rejects with what the system says; nothing is left open then.
 * @param port 0: the system chooses
 */
export type Bind = (server: Server, at: SocketAddress, port: number) => Promise<Bound>;

/** A port that the first process has open, as it tells the others. */
export interface OpenPort {
  /** The address and the port; with one that the system chose, the listener's name instead. */
  key: string;
  port: number;
}

/** A socket on its way to another process. */
export interface Loan {
  handle: SendHandle;
  /** @param taken false: this process goes on accepting on it */
  settle(taken: boolean): void;
}

export interface OwnSockets {
  bind: Bind;
  open(): OpenPort[];
  /** A socket that another process should take rather than open one; null: it opens one. */
  lend(key: string): Loan | null;
  /** Accepts on what another process gives back. */
  takeBack(key: string, handle: SendHandle): void;
}

export interface GivenSockets {
  bind: Bind;
  /** What the first process has open: nothing else may be. */
  setPorts(ports: readonly OpenPort[]): void;
  give(key: string, handle: SendHandle): void;
  /** Keys of those given that no server has taken yet. */
  waiting(): string[];
  /** Lets go of one that no server has taken. Connections would wait in it for ever. */
  drop(key: string): void;
  /** Those that are in use, to be given back. */
  inUse(): { key: string; handle: SendHandle }[];
}

const keyOf = ({ name, address }: SocketAddress, port: number): string =>
  `${address}|${port === 0 ? name : port}`;

/** Alone: for a process that shares with no other. */
export const bindAlone: Bind = async (server, { address }, port) => {
  await listening(server, () => server.listen({ port, host: address, backlog: BACKLOG }));
  return { release: () => {} };
};

interface Own {
  server: Server;
  port: number;
  /** False: the system has no option for it, others accept on the server's own. */
  reusable: boolean;
  /** Servers of sockets that were given back. */
  spare: Server[];
}

/** For the first process, which finds out whether a port is free. @param onOpened told of each */
export function createOwnSockets(onOpened: () => void): OwnSockets {
  const sockets = new Map<string, Own>();
  return {
    async bind(server, at, port) {
      const reusable = await openFirst(server, at.address, port);
      const key = keyOf(at, port);
      const own: Own = { server, reusable, port: (server.address() as AddressInfo).port, spare: [] };
      sockets.set(key, own);
      onOpened();
      return {
        release() {
          if (sockets.get(key) === own) sockets.delete(key);
          for (const spare of own.spare.splice(0)) spare.close();
        },
      };
    },
    open: () => [...sockets].map(([key, { port }]) => ({ key, port })),
    lend(key) {
      const own = sockets.get(key);
      if (own && !own.reusable) return { handle: handleOf(own.server), settle: () => {} };
      const spare = own?.spare.pop();
      if (!own || !spare) return null;
      const settle = (taken: boolean) => {
        if (taken || sockets.get(key) !== own) spare.close();
        else own.spare.push(spare);
      };
      return { handle: handleOf(spare), settle };
    },
    takeBack(key, handle) {
      const own = sockets.get(key);
      if (own?.reusable) own.spare.push(acceptToo(own.server, handle));
      else closeHandle(handle);
    },
  };
}

/** For the other processes. */
export function createGivenSockets(): GivenSockets {
  const given = new Map<string, SendHandle>();
  const used = new Map<string, Server>();
  let ports = new Map<string, number>();
  const drop = (key: string) => {
    const handle = given.get(key);
    given.delete(key);
    if (handle !== undefined) closeHandle(handle);
  };
  return {
    async bind(server, at, wanted) {
      const key = keyOf(at, wanted);
      const port = ports.get(key);
      if (port === undefined) throw new Error("the first process of this gateway has not opened it");
      const handle = given.get(key);
      given.delete(key);
      await listening(server, () => {
        if (handle !== undefined) server.listen(handle, BACKLOG);
        else server.listen({ port, host: at.address, backlog: BACKLOG, reusePort: true });
      });
      used.set(key, server);
      return {
        release() {
          if (used.get(key) === server) used.delete(key);
        },
      };
    },
    setPorts(next) {
      ports = new Map(next.map(({ key, port }) => [key, port]));
      for (const key of given.keys()) if (!ports.has(key)) drop(key);
    },
    give(key, handle) {
      drop(key);
      given.set(key, handle);
    },
    waiting: () => [...given.keys()],
    drop,
    inUse: () => [...used].map(([key, server]) => ({ key, handle: handleOf(server) })),
  };
}

/**
 * With the option that lets others join, a port that some other gateway of this user has open would not be refused. So
 * first it is opened without. Answers whether others can join.
 */
async function openFirst(server: Server, host: string, port: number): Promise<boolean> {
  const at = { port, host, backlog: BACKLOG };
  const probe = createServer();
  await listening(probe, () => probe.listen(at));
  await new Promise((resolve) => probe.close(resolve));
  try {
    await listening(server, () => server.listen({ ...at, reusePort: true }));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOTSUP") throw error;
    await listening(server, () => server.listen(at));
    return false;
  }
}

/** Connections of another socket become those of the server. */
function acceptToo(server: Server, handle: SendHandle): Server {
  const { allowHalfOpen, pauseOnConnect, noDelay, keepAlive, keepAliveInitialDelay }: ServerOpts =
    server as object;
  // Node keeps the delay in seconds.
  const keepAliveMs = (keepAliveInitialDelay ?? 0) * 1_000;
  const options = { allowHalfOpen, pauseOnConnect, noDelay, keepAlive, keepAliveInitialDelay: keepAliveMs };
  const other = createServer(options as ServerOpts);
  other.on("connection", (socket) => server.emit("connection", socket));
  other.on("error", () => {}); // of one accept: the next may succeed
  other.listen(handle, BACKLOG);
  return other;
}

/** A socket as Node has it inside: nothing is accepted on it until a server is made of it. */
const handleOf = (server: Server): SendHandle => (server as unknown as { _handle: SendHandle })._handle;

const closeHandle = (handle: SendHandle): void => (handle as unknown as { close(): void }).close();

function listening(server: Server, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const onListening = () => {
      server.off("error", onError);
      resolve();
    };
    const onError = (error: Error) => {
      server.off("listening", onListening);
      reject(error);
    };
    server.once("error", onError).once("listening", onListening);
    listen();
  });
}
