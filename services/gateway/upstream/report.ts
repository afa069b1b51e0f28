// What is told about connections to backends beyond single requests: the TLS files that they are made with.
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Metrics } from "@evenkeel/runtime/metrics.ts";
import type { TlsFilesWatcher } from "./tls-files.ts";

export function createOriginsReport(metrics: Metrics, log: Log): TlsFilesWatcher {
  const stale = metrics.gauge(
    "evenkeel_gateway_backend_certificates_stale",
    "1 while the TLS files of a pool cannot be used",
    ["pool"],
    "max",
  );
  return {
    onTlsState(pool, isStale) {
      if (isStale === null) stale.remove({ pool });
      else stale.set({ pool }, isStale ? 1 : 0);
    },
    onTlsReload(pool, error) {
      if (error === null) log.info({ pool }, "TLS files of a pool read again");
      else log.error({ pool, reason: error }, "TLS files of a pool not read again");
    },
  };
}
