// JSON logs, one shape for every service. Secrets never reach a line: tokens and credentials in URLs are redacted.
import { type Logger, pino } from "pino";

export type Log = Logger;

export function createLog(level: string, bindings: { role: string; id: string }): Log {
  return pino({
    level,
    base: { role: bindings.role, id: bindings.id },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: ["authorization", "*.authorization", "token", "*.token", "cookie", "*.cookie"],
  });
}

/** A URL without user, password and parameters, which may be passwords too. */
export function withoutCredentials(url: string): string {
  return url.replace(/\/\/.*@/s, "//***@").replace(/\?.*/s, "?***");
}
