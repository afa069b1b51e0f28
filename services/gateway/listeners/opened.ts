// What a listener is once it is open, whatever its protocol: listeners.ts opens, changes and closes all of them alike.
import type { Listener } from "@evenkeel/core/config/resolve.ts";

export interface OpenServer {
  /** As bound: with port 0 in the configuration the one the system chose. */
  readonly port: number;
  /**
   * Same address, port and protocol, but perhaps another name, other limits or certificates. Connections that are open
   * stay. Rejects when something of it cannot be put to use, such as a certificate: then all goes on as it was.
   */
  update(listener: Listener): Promise<void>;
  /** Still accepts; but whatever can be told to end its connection after its answer is told so from now on. */
  setClosing(): void;
  /**
   * Accepts no more, lets idle connections go, gives the others until the deadline and cuts off what is left then.
   * Resolves, and never rejects, when the last connection is gone.
   */
  close(deadlineMs: number): Promise<void>;
}

/**
 * Rejects with what the system said (an error with `code`), or with an error whose message says what is wrong and what
 * to do. Nothing is left open then.
 * @param port to bind: the listener's with the offset of this gateway; 0: the system chooses
 */
export type Opener = (listener: Listener, port: number) => Promise<OpenServer>;
