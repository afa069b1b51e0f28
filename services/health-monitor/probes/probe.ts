// One backend's probe as its pool's configuration says it, made ready once and run again and again.
import type { Probing } from "@evenkeel/core/config/resolve-health.ts";
import type { BackendTls } from "@evenkeel/core/config/resolve-resilience.ts";
import { type Probe, reasonOf } from "./attempt.ts";
import { grpcProbe } from "./probe-grpc.ts";
import { httpProbe } from "./probe-http.ts";
import { tcpProbe } from "./probe-tcp.ts";

/** What cannot be asked is a bad finding that says why. @param tls for those of https:// */
export function prepareProbe(url: string, probing: Probing, tls: BackendTls | null): Probe {
  try {
    return probeFor(url, probing, tls);
  } catch (error) {
    const reason = reasonOf(error as Error);
    return async () => ({ ok: false, latencyMs: 0, reason });
  }
}

function probeFor(url: string, probing: Probing, tls: BackendTls | null): Probe {
  switch (probing.protocol) {
    case "http":
      return httpProbe(url, probing, tls);
    case "tcp":
      return tcpProbe(url, probing);
    case "grpc":
      return grpcProbe(url, probing, tls);
  }
}
