// The scheduler's end of connections for settles, to be played by a test: a real HTTP server that upgrades.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import {
  ANSWER_BYTES_MAX,
  type Frame,
  KIND,
  SETTLE_BYTES_MAX,
  SETTLE_PROTOCOL,
} from "@evenkeel/core/wire/frames.ts";
import type { SettleRequest } from "@evenkeel/core/wire/settle.ts";
import { type FramedSocket, frameSocket } from "@evenkeel/runtime/framed-socket.ts";

export interface Asked {
  id: number;
  pool: string;
  request: SettleRequest;
  framed: FramedSocket;
  socket: Socket;
  answer(response: object): void;
  refuse(status: number, code: string): void;
}

export interface FrameServer {
  readonly url: string;
  /** One per connection opened so far. */
  readonly sockets: Socket[];
  /** What came that is no settle. */
  readonly frames: Frame[];
  onSettle: (asked: Asked) => void;
  /** Set: the upgrade gets this status in place of 101. */
  refuseWith: number | null;
  authorization: string | undefined;
  close(): void;
}

const SWITCHING = `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: ${SETTLE_PROTOCOL}\r\n\r\n`;

export async function startFrameServer(onSettle: (asked: Asked) => void = () => {}): Promise<FrameServer> {
  const http = createServer((_request, response) => response.writeHead(404).end("no such resource"));
  const sockets: Socket[] = [];
  const frames: Frame[] = [];
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const server: FrameServer = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    sockets,
    frames,
    onSettle,
    refuseWith: null,
    authorization: undefined,
    close() {
      for (const socket of sockets) socket.destroy();
      http.closeAllConnections();
      http.close();
    },
  };
  http.on("upgrade", (request, socket: Socket, head) => {
    server.authorization = request.headers.authorization;
    if (server.refuseWith !== null) {
      socket.end(
        `HTTP/1.1 ${server.refuseWith} No\r\ncontent-length: 9\r\nconnection: close\r\n\r\nno thanks`,
      );
      return;
    }
    sockets.push(socket);
    socket.write(SWITCHING);
    const onFrame = (frame: Frame) => {
      if (frame.kind !== KIND.settle) return void frames.push(frame);
      const [pool = "", json = ""] = frame.text.split("\n");
      const { id } = frame;
      server.onSettle({
        id,
        pool,
        request: JSON.parse(json),
        framed,
        socket,
        answer: (response) => framed.send(KIND.answer, id, JSON.stringify(response)),
        refuse: (status, code) =>
          framed.send(KIND.refusal, id, JSON.stringify({ status, code, error: "as the test wants it" })),
      });
    };
    const bounds = { textMax: SETTLE_BYTES_MAX, waitingMax: ANSWER_BYTES_MAX };
    const framed = frameSocket({ socket, head, ...bounds, onFrame, onFault: () => {}, onEnd: () => {} });
  });
  return server;
}
