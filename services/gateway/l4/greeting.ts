// Reads what must come first on a connection, until it is whole: a PROXY protocol header, a ClientHello. What was read
// beyond it stays at hand.
import type { Socket } from "node:net";

/** What parsers of greetings answer, of all that has come so far. They bound how much that can be. */
export type Parsed<T> = { state: "more" } | { state: "invalid"; reason: string } | T;

export interface GreetingOptions {
  /** For the whole greeting, however it trickles in. */
  timeoutMs: number;
  /** For messages: "PROXY protocol header". */
  what: string;
  /** What was read of the connection before; may be empty. */
  first: Buffer;
}

/**
 * Exactly one of `done` and `fail` is called, before this returns only where `first` decides. Then the socket is paused
 * and this listens to nothing of it any more; closing it is up to the caller.
 * @param done gets all that was read, the greeting included
 */
export function readGreeting<T extends { state: "whole" }>(
  socket: Socket,
  { timeoutMs, what, first }: GreetingOptions,
  parse: (bytes: Buffer) => Parsed<T>,
  done: (greeting: T, bytes: Buffer) => void,
  fail: (reason: string) => void,
): void {
  let read = first;
  let timer: NodeJS.Timeout | undefined;
  const stop = () => {
    clearTimeout(timer);
    socket.pause();
    socket.off("data", onData).off("end", onEnd).off("close", onEnd).off("error", onError);
  };
  const failed = (reason: string) => {
    stop();
    fail(reason);
  };
  /** False: more is needed. */
  const decide = (): boolean => {
    const parsed = parse(read);
    if (parsed.state === "more") return false;
    if (parsed.state === "invalid") {
      failed((parsed as { reason: string }).reason);
    } else {
      stop();
      done(parsed as T, read);
    }
    return true;
  };
  const onData = (chunk: Buffer) => {
    read = read.length === 0 ? chunk : Buffer.concat([read, chunk]);
    decide();
  };
  const onEnd = () => failed(`the connection ended before its ${what} was whole`);
  const onError = (error: Error) => failed(error.message);
  if (first.length > 0 && decide()) return;
  timer = setTimeout(failed, timeoutMs, `the ${what} did not come in time`);
  socket.on("data", onData).on("end", onEnd).on("close", onEnd).on("error", onError).resume();
}
