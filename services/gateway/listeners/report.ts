// What is told about connections before they are requests: those turned away, TLS that could not be agreed, and the
// certificates in use.
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Metrics } from "@evenkeel/runtime/metrics.ts";
import type { Dropped } from "./accept.ts";
import type { Certificate } from "./certificates.ts";
import type { TlsWatcher } from "./tls-contexts.ts";

export interface ListenerReport extends TlsWatcher {
  onDropped(listener: string, why: Dropped): void;
}

export function createListenerReport(metrics: Metrics, log: Log): ListenerReport {
  const drops = metrics.counter(
    "evenkeel_gateway_connections_dropped_total",
    "Connections closed before they could ask for anything",
    ["listener", "reason"],
  );
  const faults = metrics.counter("evenkeel_gateway_tls_faults_total", "TLS handshakes that failed", [
    "reason",
  ]);
  const expiry = metrics.gauge(
    "evenkeel_gateway_certificate_expiry_seconds",
    "When the certificate that ends first of a listener is no longer valid, seconds since 1970",
    ["listener"],
    "min",
  );
  const stale = metrics.gauge(
    "evenkeel_gateway_certificates_stale",
    "1 while changed certificate files of a listener cannot be used",
    ["listener"],
    "max",
  );
  return {
    onDropped: (listener, reason) => drops.inc({ listener, reason }),
    onTlsError: (reason) => faults.inc({ reason }),
    onCertificates(listener, certificates: readonly Certificate[]) {
      if (certificates.length === 0) {
        expiry.remove({ listener });
        stale.remove({ listener });
        return;
      }
      const endsMs = Math.min(...certificates.map(({ notAfterMs }) => notAfterMs));
      expiry.set({ listener }, Math.floor(endsMs / 1_000));
      stale.set({ listener }, 0);
    },
    onReload(listener, error) {
      stale.set({ listener }, error === null ? 0 : 1);
      if (error === null) log.info({ listener }, "certificates read again");
      else log.error({ listener, reason: error.message }, "certificates not read again, the old ones stay");
    },
  };
}
