// A socket that carries frames. What is sent in one turn of the event loop goes out in one write, what the other side
// does not read is bounded, and the end is told exactly once, with a reason.
import type { Socket } from "node:net";
import { createFrameReader, encodeFrame, type Frame, type Kind } from "@evenkeel/core/wire/frames.ts";

export interface FramedSocket {
  send(kind: Kind, id: number, text: string): void;
  /** Sends what waits, then ends this side; destroyed when the other side has not ended by then either. */
  end(graceMs: number): void;
  destroy(reason: string): void;
}

export interface FramedSocketOptions {
  socket: Socket;
  /** Received along with the HTTP upgrade. */
  head: Buffer;
  /** Bytes of text in a received frame. */
  textMax: number;
  /** Bytes that may wait to be sent; when the other side leaves more unread, the connection is destroyed. */
  waitingMax: number;
  onFrame(frame: Frame): void;
  /** The stream cannot be read on. */
  onFault(fault: string): void;
  /** Nothing is sent or received any more. */
  onEnd(reason: string): void;
}

/** `onFrame` is not called before this has returned. */
export function frameSocket(options: FramedSocketOptions): FramedSocket {
  const { socket, head, textMax, waitingMax, onFrame, onFault, onEnd } = options;
  let outgoing: Buffer[] = [];
  let outgoingBytes = 0;
  let why = "the connection was closed";
  const reader = createFrameReader(textMax, onFrame);

  const flush = () => {
    if (outgoing.length === 0) return;
    const bytes = outgoing.length === 1 ? (outgoing[0] as Buffer) : Buffer.concat(outgoing, outgoingBytes);
    outgoing = [];
    outgoingBytes = 0;
    if (socket.writable) socket.write(bytes);
  };
  const destroy = (reason: string) => {
    if (socket.destroyed) return;
    why = reason;
    socket.destroy();
  };
  const receive = (chunk: Buffer) => {
    const fault = reader.push(chunk);
    if (fault === null) return;
    socket.off("data", receive);
    socket.resume();
    onFault(fault);
  };

  socket.setNoDelay(true);
  socket.setTimeout(0);
  socket.on("data", receive);
  socket.on("end", () => {
    flush();
    socket.end();
  });
  socket.on("error", (error) => {
    why = error.message;
  });
  socket.on("close", () => onEnd(why));
  if (head.length > 0) socket.unshift(head);

  return {
    send(kind, id, text) {
      if (!socket.writable) return;
      if (socket.writableLength + outgoingBytes > waitingMax) {
        destroy(`the other side leaves more than ${waitingMax} bytes unread`);
        return;
      }
      const frame = encodeFrame(kind, id, text);
      outgoingBytes += frame.length;
      if (outgoing.push(frame) === 1) process.nextTick(flush);
    },
    end(graceMs) {
      flush();
      socket.end();
      setTimeout(() => destroy("the other side did not end"), graceMs).unref();
    },
    destroy,
  };
}
