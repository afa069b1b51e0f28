// The way of one service to Redis: a TCP relay in this process that can be cut (connections are reset and refused), or
// held (connections stand and are accepted, and no byte passes either way).
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

const ADDRESS = "127.0.0.1";

export interface Relay {
  readonly port: number;
  cut(): void;
  hold(): void;
  /** As if nothing had been; what was held back passes now. */
  heal(): Promise<void>;
  close(): void;
}

/** @param port to listen on */
export async function openRelay(port: number, upstreamPort: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  let held = false;
  let server: Server | null = null;

  const track = (socket: Socket, other: Socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      if (!other.write(chunk)) socket.pause();
    });
    other.on("drain", () => !held && socket.resume());
    socket.on("error", () => {}); // close follows
    socket.on("close", () => {
      sockets.delete(socket);
      other.resetAndDestroy();
    });
    if (held) socket.pause();
  };

  const listen = async () => {
    server = createServer((client) => {
      const upstream = connect(upstreamPort, ADDRESS);
      track(client, upstream);
      track(upstream, client);
    });
    server.listen(port, ADDRESS);
    await once(server, "listening");
  };

  const cut = () => {
    server?.close();
    server = null;
    for (const socket of sockets) socket.resetAndDestroy();
  };

  await listen();
  return {
    port,
    cut,
    hold() {
      held = true;
      for (const socket of sockets) socket.pause();
    },
    async heal() {
      held = false;
      for (const socket of sockets) socket.resume();
      if (server === null) await listen();
    },
    close: cut,
  };
}
