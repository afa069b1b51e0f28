// How every process starts, says that it is ready, and stops: once, in order, within a deadline.
import { EnvironmentError } from "./environment.ts";
import type { Log } from "./log.ts";

export interface Service {
  log: Log;
  /** Longest `stop` may take before the process leaves anyway. */
  stopDeadlineMs: number;
  stop(): Promise<void>;
}

/**
 * Runs a service until SIGINT, SIGTERM, or the end of the IPC channel to the parent that started it: nothing that
 * `evenkeel up` starts outlives it, however it ends. Exit code 0 after an orderly stop, 1 when it could not start,
 * crashed, or did not stop in time; 2 for a faulty environment.
 */
export async function runService(start: () => Promise<Service>): Promise<void> {
  let service: Service;
  const leaveWithParent = () => process.exit(1);
  process.on("disconnect", leaveWithParent);
  try {
    service = await start();
  } catch (error) {
    process.stderr.write(`${startFailure(error as NodeJS.ErrnoException)}\n`);
    process.exit(error instanceof EnvironmentError ? 2 : 1);
  }
  const crash = (error: unknown) => {
    service.log.fatal({ err: error }, "crashed");
    process.exit(1);
  };
  process.on("uncaughtException", crash);
  process.on("unhandledRejection", crash);
  let stopping = false;
  const stop = async (signal: NodeJS.Signals | "parent gone") => {
    if (stopping) return;
    stopping = true;
    service.log.info({ signal }, "stopping");
    setTimeout(() => {
      service.log.error({ deadlineMs: service.stopDeadlineMs }, "did not stop in time");
      process.exit(1);
    }, service.stopDeadlineMs).unref();
    await service.stop();
    service.log.info("stopped");
    process.exit(0);
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.off("disconnect", leaveWithParent);
  process.on("disconnect", () => stop("parent gone"));
}

/** What keeps an admin port from opening: a matter of settings, on which a stack throws no light. */
const LISTEN_CODES = [
  "EADDRINUSE",
  "EADDRNOTAVAIL",
  "EACCES",
  "EAFNOSUPPORT",
  "EINVAL",
  "ENOTFOUND",
  "EAI_AGAIN",
];

function startFailure(error: NodeJS.ErrnoException): string {
  if (error instanceof EnvironmentError) return error.message;
  if (LISTEN_CODES.includes(error.code ?? "")) return `cannot start: ${error.message}`;
  return error.stack ?? error.message;
}

/** Told to a parent process (`evenkeel up`) over its IPC channel, if there is one. */
export function reportReady(report: { url: string; adminUrl: string }): void {
  if (process.connected) process.send?.({ ready: true, ...report });
}
