// JSON logs, one shape for every service. Secrets never reach a line: tokens and credentials in URLs are redacted.
import { writeSync } from "node:fs";
import { type Logger, pino } from "pino";

export type Log = Logger;

const STANDARD_OUTPUT = 1;

/**
 * Each line goes out at once. One that nobody takes is lost: pino's own stream would try for ever to write it when the
 * process ends, and so keep it from ending.
 */
const lines = {
  write(line: string): void {
    try {
      writeSync(STANDARD_OUTPUT, line);
    } catch {
      // The reader is gone.
    }
  },
};

export function createLog(level: string, bindings: { role: string; id: string }): Log {
  const options = {
    level,
    base: { role: bindings.role, id: bindings.id },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: ["authorization", "*.authorization", "token", "*.token", "cookie", "*.cookie"],
  };
  return pino(options, lines);
}

/** A URL without user, password and parameters, which may be passwords too. */
export function withoutCredentials(url: string): string {
  return url.replace(/\/\/.*@/s, "//***@").replace(/\?.*/s, "?***");
}
