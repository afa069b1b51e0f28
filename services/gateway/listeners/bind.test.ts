import { type ChildProcess, fork, type SendHandle } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { bindAlone, createGivenSockets, createOwnSockets, type Loan } from "./bind.ts";

const ECHO = new URL("../test-support/echo-handles.ts", import.meta.url);
const AT = { name: "web", address: "127.0.0.1" };
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

let echo: ChildProcess;
beforeAll(() => {
  echo = fork(ECHO);
});
afterAll(() => void echo.kill());

/** A copy of a socket, as it comes from another process. */
async function transfer(handle: SendHandle): Promise<SendHandle> {
  const back = once(echo, "message");
  echo.send("socket", handle);
  return (await back)[1];
}

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

const given = (handle: Loan | null) => (handle as Loan).handle;

describe("the first process", () => {
  it("is refused a port that is in use, also by another gateway of this user", async () => {
    const own = createOwnSockets(() => {});
    const first = serverOf("first");
    await own.bind(first, AT, 0);
    await expect(bindAlone(serverOf("second"), AT, portOf(first))).rejects.toThrow("EADDRINUSE");
    const another = createOwnSockets(() => {});
    await expect(another.bind(serverOf("third"), AT, portOf(first))).rejects.toThrow("EADDRINUSE");
    expect(another.open()).toEqual([]);
  });

  it("tells its ports by address and number, or by the listener where the system chose the number", async () => {
    let opened = 0;
    const own = createOwnSockets(() => {
      opened += 1;
    });
    const chosen = serverOf("chosen");
    const bound = await own.bind(chosen, AT, 0);
    const port = portOf(chosen);
    expect(own.open()).toEqual([{ key: "127.0.0.1|web", port }]);
    bound.release();
    chosen.close();
    expect(own.open()).toEqual([]);
    await own.bind(serverOf("again"), { name: "other", address: "127.0.0.1" }, port);
    expect(own.open()).toEqual([{ key: `127.0.0.1|${port}`, port }]);
    expect(opened).toBe(2);
  });

  it("has nothing to lend before something was given back: others open sockets of their own", async () => {
    const own = createOwnSockets(() => {});
    await own.bind(serverOf("first"), AT, 0);
    expect(own.lend("127.0.0.1|web")).toBe(null);
    expect(own.lend("127.0.0.1|unknown")).toBe(null);
  });
});

describe("the other processes", () => {
  it("share the connections to a port evenly", async () => {
    const { first, second, port } = await pair();
    const counts = { first: 0, second: 0 };
    first.on("connection", () => {
      counts.first += 1;
    });
    second.on("connection", () => {
      counts.second += 1;
    });
    for (let n = 0; n < 200; n += 1) await ask(port);
    expect(counts.first + counts.second).toBe(200);
    expect(Math.min(counts.first, counts.second)).toBeGreaterThan(50); // 7 standard deviations from half
  });

  it("open no port that the first process has not", async () => {
    const others = createGivenSockets();
    await expect(others.bind(serverOf("x"), AT, 0)).rejects.toThrow("has not opened it");
    others.setPorts([{ key: "127.0.0.1|web", port: 1 }]);
    others.setPorts([]);
    await expect(others.bind(serverOf("x"), AT, 0)).rejects.toThrow("has not opened it");
  });

  it("lose no connection that waits in a socket they give back", async () => {
    const { own, others, second, port } = await pair();
    const [back] = others.inUse();
    expect(back?.key).toBe("127.0.0.1|web");
    own.takeBack("127.0.0.1|web", await transfer(back?.handle as SendHandle));
    second.close();
    expect(new Set(await Promise.all(Array.from({ length: 50 }, () => ask(port))))).toEqual(
      new Set(["first"]),
    );
  });

  it("are lent what was given back, and the first process accepts on it until they have it", async () => {
    const { own, others, second, port } = await pair();
    own.takeBack("127.0.0.1|web", await transfer(others.inUse()[0]?.handle as SendHandle));
    second.close();

    const refused = own.lend("127.0.0.1|web");
    refused?.settle(false);
    const loan = own.lend("127.0.0.1|web");
    expect(own.lend("127.0.0.1|web")).toBe(null);
    const next = createGivenSockets();
    next.setPorts(own.open());
    next.give("127.0.0.1|web", await transfer(given(loan)));
    await next.bind(serverOf("third"), AT, 0);
    loan?.settle(true);
    const answers = await Promise.all(Array.from({ length: 100 }, () => ask(port)));
    expect(new Set(answers)).toEqual(new Set(["first", "third"]));
  });

  it("leave nothing open when the listener is gone, whatever was given back", async () => {
    const { own, first, bound, others, second, port } = await pair();
    own.takeBack("127.0.0.1|web", await transfer(others.inUse()[0]?.handle as SendHandle));
    second.close();
    const loan = own.lend("127.0.0.1|web");
    const copy = await transfer(given(loan));
    bound.release();
    first.close();
    await expect(bindAlone(serverOf("early"), AT, port)).rejects.toThrow("EADDRINUSE"); // lent, and perhaps taken
    own.takeBack("127.0.0.1|web", copy);
    loan?.settle(false);
    await bindAlone(serverOf("someone else"), AT, port);
    own.takeBack("127.0.0.1|web", copy);
    expect(own.open()).toEqual([]);
  });
});

/** A first process and another that both accept on a port. */
async function pair() {
  const own = createOwnSockets(() => {});
  const first = serverOf("first");
  const bound = await own.bind(first, AT, 0);
  const others = createGivenSockets();
  others.setPorts(own.open());
  const second = serverOf("second");
  await others.bind(second, AT, 0);
  return { own, first, bound, others, second, port: portOf(first) };
}
