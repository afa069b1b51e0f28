// Bounds how long a client may keep an exchange waiting, by neither sending what is asked of it nor reading what is
// sent to it. Silence for any other reason, such as a backend that thinks, is not the client's and is not counted.
import type { Socket } from "node:net";

export const CLIENT_IDLE_MS = 30_000;

export class ClientWatch {
  readonly #socket: Pick<Socket, "setTimeout">;
  #mustSend = false;
  #mustRead = false;
  #stopped = false;

  constructor(socket: Pick<Socket, "setTimeout">) {
    this.#socket = socket;
  }

  mustSend(waiting: boolean): void {
    this.#mustSend = waiting;
    this.#arm();
  }

  mustRead(waiting: boolean): void {
    this.#mustRead = waiting;
    this.#arm();
  }

  /** The exchange is over: from here on the connection's timeout is the server's again. */
  stop(): void {
    if (this.#mustSend || this.#mustRead) this.#socket.setTimeout(0);
    this.#stopped = true;
  }

  /** Past it Node destroys the socket; each byte that moves starts it anew. */
  #arm(): void {
    if (!this.#stopped) this.#socket.setTimeout(this.#mustSend || this.#mustRead ? CLIENT_IDLE_MS : 0);
  }
}
