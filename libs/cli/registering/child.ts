// The command that a registration is for: it runs as if nothing stood between it and whoever started both.
import { spawn } from "node:child_process";
import { constants } from "node:os";

/** What operators tell a service besides to stop. */
const PASSED_ON = ["SIGUSR1", "SIGUSR2"] as const;

export interface Child {
  /** Its exit code; of one that a signal ended 128 and the signal's number, as shells say it. Rejects when it did not start. */
  ended: Promise<number>;
  kill(signal: NodeJS.Signals): void;
}

export function startChild([command = "", ...args]: readonly string[], env: NodeJS.ProcessEnv): Child {
  const child = spawn(command, args, { stdio: "inherit", env });
  const pass = (signal: NodeJS.Signals) => void child.kill(signal);
  for (const signal of PASSED_ON) process.on(signal, pass);
  const ended = new Promise<number>((resolve, reject) => {
    child.once("error", (error: NodeJS.ErrnoException) =>
      reject(new Error(`cannot run ${command}: ${error.code ?? error.message}`)),
    );
    child.once("exit", (code, signal) => resolve(signal ? 128 + constants.signals[signal] : (code ?? 1)));
  }).finally(() => {
    for (const signal of PASSED_ON) process.off(signal, pass);
  });
  return { ended, kill: (signal) => void child.kill(signal) };
}
