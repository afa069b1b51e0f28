// What a verified certificate says of a client, in the form that routes and backends are told.
import type { X509Certificate } from "node:crypto";
import type { ClientCertificate } from "../messages/incoming.ts";

/** OpenSSL escapes by RFC 2253, one name to a line, the most general first; RFC 4514 wants them the other way round. */
export const clientCertificate = (certificate: X509Certificate): ClientCertificate => ({
  subject: (certificate.subject ?? "").split("\n").reverse().join(","),
  names: certificate.subjectAltName ?? "",
  fingerprint: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
});
