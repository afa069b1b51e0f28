// A TCP relay that can stop forwarding without closing anything, as a network does that is cut.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface Relay {
  port: number;
  /** Connections that are made later are cut too, unless only those of now are meant. */
  cut(which?: "all" | "present"): void;
  heal(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function startRelay(to: { host: string; port: number }): Promise<Relay> {
  const sockets = new Set<Socket>();
  let isCut = false;
  const keep = (socket: Socket, other: () => Socket) => {
    sockets.add(socket);
    socket.on("data", (chunk) => other().write(chunk));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      sockets.delete(socket);
      other().destroy();
    });
    if (isCut) socket.pause();
  };
  const server = createServer((near) => {
    const far: Socket = connect(to);
    keep(near, () => far);
    keep(far, () => near);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    cut(which = "all") {
      isCut = which === "all";
      for (const socket of sockets) socket.pause();
    },
    heal() {
      isCut = false;
      for (const socket of sockets) socket.resume();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
