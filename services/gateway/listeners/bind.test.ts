import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { bindAlone, createGivenSockets, createOwnSockets } from "./bind.ts";

const AT = { name: "web", address: "127.0.0.1" };
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A server that says who it is. */
function serverOf(name: string): Server {
  const server = createServer((socket) => socket.end(name));
  servers.push(server);
  return server;
}

const portOf = (server: Server) => (server.address() as AddressInfo).port;

async function ask(port: number): Promise<string> {
  const socket = connect(port, "127.0.0.1").setEncoding("utf8");
  const [text] = await once(socket, "data");
  socket.destroy();
  return text as string;
}

const ownSockets = (told: { opened: number; turns: number } = { opened: 0, turns: 0 }) =>
  createOwnSockets({
    onOpened: () => {
      told.opened += 1;
    },
    giveTurn: () => {
      told.turns += 1;
    },
  });

describe("a socket that processes share", () => {
  it("is opened once: a port that is in use is refused, also by another gateway of this machine", async () => {
    const first = serverOf("first");
    const own = ownSockets();
    await own.bind(first, AT, 0);
    await expect(bindAlone(serverOf("second"), AT, portOf(first))).rejects.toThrow("EADDRINUSE");
    await expect(ownSockets().bind(serverOf("third"), AT, portOf(first))).rejects.toThrow("EADDRINUSE");
    expect(own.open()).toHaveLength(1);
  });

  it("is known by address and port, or by its listener where the system chose the port", async () => {
    const told = { opened: 0, turns: 0 };
    const own = ownSockets(told);
    const chosen = serverOf("chosen");
    await own.bind(chosen, AT, 0);
    const port = portOf(chosen);
    expect(own.open().map(({ key }) => key)).toEqual(["127.0.0.1|web"]);
    chosen.close();
    expect(own.open()).toEqual([]);
    await own.bind(serverOf("again"), { name: "other", address: "127.0.0.1" }, port);
    expect(own.open()).toMatchObject([{ key: `127.0.0.1|${port}`, serial: 2 }]);
    expect(told.opened).toBe(2);
  });

  it("is served by whom it was given to, and only once a server is made of it", async () => {
    const { server, handle } = await spare();
    const port = portOf(server);
    const given = createGivenSockets(() => {});
    given.give("127.0.0.1|web", handle);
    const taker = serverOf("taker");
    await given.bind(taker, AT, 0);
    expect(portOf(taker)).toBe(port);
    expect(await ask(port)).toBe("taker");
    await expect(given.bind(serverOf("too late"), AT, 0)).rejects.toThrow("has not opened it");
  });

  it("is let go of when no configuration has a use for it", async () => {
    const { server, handle } = await spare();
    const port = portOf(server);
    const given = createGivenSockets(() => {});
    given.give("127.0.0.1|web", handle);
    given.keep(["127.0.0.1|web"]);
    given.keep([]);
    await expect(given.bind(serverOf("taker"), AT, 0)).rejects.toThrow("has not opened it");
    await closed(handle);
    await bindAlone(serverOf("another"), AT, port);
  });

  it("gives others a turn only while there are others", async () => {
    const told = { opened: 0, turns: 0 };
    const own = ownSockets(told);
    const server = serverOf("own");
    await own.bind(server, AT, 0);
    await ask(portOf(server));
    expect(told.turns).toBe(0);
    own.setShared(true);
    await ask(portOf(server));
    expect(told.turns).toBe(1);
    own.setShared(false);
    await ask(portOf(server));
    expect(told.turns).toBe(1);
  });
});

/** A listening socket that nobody accepts on in this process, as another process hands it over. */
async function spare() {
  const own = ownSockets();
  const server = serverOf("first");
  await own.bind(server, AT, 0);
  return { server, handle: own.open()[0]?.handle() as never };
}

const closed = (handle: { fd: number }) => expect.poll(() => handle.fd).toBe(-1);
