import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freePort } from "../../libs/cli/supervisor/ports.ts";
import { openRelay, type Relay } from "./relay.ts";

/** Round trips past the relay, in which what is held would have come through it many times. */
const ROUND_TRIPS = 50;

let upstream: Server;
let relay: Relay;
const clients: Socket[] = [];

beforeEach(async () => {
  upstream = createServer((socket) => {
    socket.on("data", (chunk) => socket.write(`echo ${chunk}`));
    socket.on("error", () => {});
  }).listen(0, "127.0.0.1");
  await once(upstream, "listening");
  relay = await openRelay(await freePort(), (upstream.address() as AddressInfo).port);
});

afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
  relay.close();
  upstream.close();
});

async function client(port = relay.port): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  clients.push(socket);
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

async function echo(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  const [answer] = await once(socket, "data");
  return String(answer);
}

describe("the relay to Redis", () => {
  it("passes bytes both ways", async () => {
    expect(await echo(await client(), "a")).toBe("echo a");
  });

  it("cut: resets what is open and refuses what comes, until it is healed", async () => {
    const open = await client();
    await echo(open, "a");
    const reset = new Promise<NodeJS.ErrnoException>((resolve) => open.on("error", resolve));
    relay.cut();
    expect((await reset).code).toBe("ECONNRESET");
    await expect(client()).rejects.toThrow("ECONNREFUSED");
    await relay.heal();
    expect(await echo(await client(), "b")).toBe("echo b");
  });

  it("held: passes no byte on old and new connections, and all of them once it is healed", async () => {
    const open = await client();
    await echo(open, "a");
    relay.hold();
    const late = await client();
    const answers: string[] = [];
    open.on("data", (chunk) => answers.push(String(chunk)));
    late.on("data", (chunk) => answers.push(String(chunk)));
    open.write("b");
    late.write("c");
    const direct = await client((upstream.address() as AddressInfo).port);
    for (let i = 0; i < ROUND_TRIPS; i += 1) await echo(direct, "d");
    expect(answers).toEqual([]);
    await relay.heal();
    await expect.poll(() => answers.toSorted()).toEqual(["echo b", "echo c"]);
  });
});
