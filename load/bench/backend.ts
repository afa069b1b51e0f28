// A backend that costs next to nothing: answers every request head with the same bytes, without parsing it. What is
// measured around it is the gateway, not the backend. Listens on as many ports as its argument says, and names them
// over IPC.
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";

const HEAD_END = "\r\n\r\n";
const ANSWER = Buffer.from("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok");

const serve = (socket: Socket) => {
  let rest = "";
  socket.on("data", (chunk) => {
    const heads = (rest + chunk.toString("latin1")).split(HEAD_END);
    rest = heads.pop() as string;
    for (let i = 0; i < heads.length; i += 1) socket.write(ANSWER);
  });
  socket.on("error", () => socket.destroy());
};

async function listen(): Promise<number> {
  const server = createServer({ noDelay: true }, serve).listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

process.send?.(await Promise.all(Array.from({ length: Number(process.argv[2]) }, listen)));
process.on("disconnect", () => process.exit(0));
