// One line when something that access depends on stops to answer, and one when it does again.
import type { Log } from "@evenkeel/runtime/log.ts";

export interface Outage {
  failed(reason: string): void;
  well(): void;
}

export function watchOutage(log: Log, about: Record<string, string>, what: string): Outage {
  let out = false;
  return {
    failed(reason) {
      if (!out) log.warn({ ...about, reason }, `${what} unavailable`);
      out = true;
    },
    well() {
      if (out) log.info(about, `${what} available again`);
      out = false;
    },
  };
}
