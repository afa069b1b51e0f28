// A request whose body is all at hand, written at once. The body may be sent again later: its memory is not given back.
import type { Socket } from "node:net";

/** Bodies up to this many bytes are copied behind the header section: cheaper than a second piece for the system. */
const JOINED_BYTES = 16 * 1024;

/** @param text Latin-1 */
export function writeWhole(socket: Socket, text: string, body: Buffer): void {
  if (body.length > JOINED_BYTES) {
    socket.cork();
    socket.write(text, "latin1");
    socket.write(body);
    socket.uncork();
    return;
  }
  const whole = Buffer.allocUnsafe(text.length + body.length);
  whole.write(text, 0, "latin1");
  body.copy(whole, text.length);
  socket.write(whole);
}
