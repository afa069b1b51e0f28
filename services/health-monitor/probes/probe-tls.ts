// TLS to backends that are probed, as their pool says it is spoken to them. The files are read on the machine of the
// health-monitor, and again from time to time, so that a new certificate needs no restart.
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { createSecureContext, type SecureContext } from "node:tls";
import type { BackendTls } from "@evenkeel/core/config/resolve-resilience.ts";

/** Between two readings of the same files, in ms. */
const REREAD_MS = 60_000;
/** Settings whose files are held; past it all are forgotten and read anew. As many as there may be pools. */
const MAX_HELD = 1_000;

const held = new Map<string, { context: SecureContext; readMs: number }>();

/** Options of a connection. @param given the name to ask for and to verify @throws for files that cannot be used */
export function probeTls(tls: BackendTls | null, host: string, given: string | null = null) {
  const servername = given ?? tls?.servername ?? (isIP(host) === 0 ? host : null);
  return {
    rejectUnauthorized: tls?.verify ?? true,
    ...(servername !== null && { servername }),
    ...(tls !== null && { secureContext: contextOf(tls) }),
  };
}

function contextOf(tls: BackendTls): SecureContext {
  const key = JSON.stringify(tls);
  const known = held.get(key);
  const nowMs = performance.now();
  if (known && nowMs - known.readMs < REREAD_MS) return known.context;
  const context = createSecureContext({
    minVersion: tls.minVersion === "1.3" ? "TLSv1.3" : "TLSv1.2",
    ...(tls.ca !== null && { ca: readFileSync(tls.ca) }),
    ...(tls.cert !== null &&
      tls.key !== null && { cert: readFileSync(tls.cert), key: readFileSync(tls.key) }),
  });
  if (held.size >= MAX_HELD) held.clear();
  held.set(key, { context, readMs: nowMs });
  return context;
}
