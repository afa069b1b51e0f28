// Workers as real processes, and the channel between them and the process that started them.
import { fork, type SendHandle } from "node:child_process";
import type { Channel, FromWorker, ToWorker } from "./messages.ts";
import type { WorkerProcess } from "./worker.ts";

/** What both ends of a channel have. */
interface End {
  connected?: boolean;
  send?(message: object, handle: SendHandle | undefined, options: object, done: () => void): unknown;
  on(event: "message", listener: (message: object, handle: SendHandle | undefined) => void): unknown;
}

/** What cannot be sent is lost with the process it was meant for, whose end is noticed by itself. */
const say = (end: End, message: object, handle?: SendHandle): Promise<void> =>
  new Promise((resolve) => {
    if (end.connected) end.send?.(message, handle, {}, () => resolve());
    else resolve();
  });

/** In a session of its own, so that Ctrl-C reaches only the first process, which stops all of them in order. */
export const forker =
  (script: URL, env: NodeJS.ProcessEnv) =>
  (id: string): WorkerProcess => {
    const child = fork(script, [id], { env, detached: true, stdio: ["ignore", "inherit", "inherit", "ipc"] });
    return {
      pid: child.pid,
      send: (message, handle) => void say(child, message, handle),
      onMessage: (listener) =>
        child.on("message", (message, handle) => listener(message as FromWorker, handle as SendHandle)),
      onExit(listener) {
        const ended = (how: string) => {
          child.off("exit", onExit).off("error", onError);
          child.on("error", () => {});
          listener(how);
        };
        const onExit = (code: number | null, signal: string | null) => ended(signal ?? `exit code ${code}`);
        const onError = (error: Error) => {
          if (child.pid === undefined) ended(error.message); // else it runs, and will exit
        };
        child.on("exit", onExit).on("error", onError);
      },
      kill: (signal) => void child.kill(signal),
    };
  };

export interface ParentChannel extends Channel<ToWorker, FromWorker> {
  /** Resolves when it has gone out, or cannot. */
  sent(message: FromWorker, handle?: SendHandle): Promise<void>;
}

/** Of a worker, to the process that started it. */
export const parentChannel = (end: End): ParentChannel => ({
  send: (message, handle) => void say(end, message, handle),
  onMessage: (listener) => end.on("message", (message, handle) => listener(message as ToWorker, handle)),
  sent: (message, handle) => say(end, message, handle),
});
