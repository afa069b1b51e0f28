// Which client certificates may use a route. The listener has verified the chain; here it is only who it is.
import type { CertificateAccess } from "@evenkeel/core/config/resolve-access.ts";
import type { ClientCertificate } from "../messages/incoming.ts";
import { forbidden } from "./credentials.ts";
import type { Row } from "./turn.ts";

// 403, not 401: a certificate is no answer to a challenge of HTTP, and 401 has to have one.
const MISSING = forbidden("A client certificate is needed");
const OTHER = forbidden("This client certificate may not be used here");

export function compileCertificate({ subjects, names, fingerprints }: CertificateAccess): Row {
  const any = subjects.length + names.length + fingerprints.length === 0;
  const bySubject = new Set(subjects);
  const byName = new Set(names.map(canonicalName));
  const byFingerprint = new Set(fingerprints);
  const matches = (certificate: ClientCertificate) =>
    any ||
    bySubject.has(certificate.subject) ||
    byFingerprint.has(certificate.fingerprint) ||
    (byName.size > 0 && splitNames(certificate.names).some((name) => byName.has(canonicalName(name))));

  return {
    name: "client-certificate",
    check(turn) {
      const certificate = turn.request.connection.tls?.certificate ?? null;
      if (certificate === null) return MISSING;
      if (!matches(certificate)) return OTHER;
      if (certificate.subject !== "") turn.identify("certificate", certificate.subject);
      return null;
    },
  };
}

/** DNS names are the same in any case. */
const canonicalName = (name: string): string => (name.startsWith("DNS:") ? name.toLowerCase() : name);

/**
 * The names of one text. A value that could be taken for several is quoted in it, and stays one: it never equals a
 * configured one, which has no quotes.
 */
export function splitNames(text: string): string[] {
  const names: string[] = [];
  let start = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i += 1) {
    const character = text[i];
    if (quoted && character === "\\") i += 1;
    else if (character === '"') quoted = !quoted;
    else if (character === "," && !quoted) {
      names.push(text.slice(start, i).trim());
      start = i + 1;
    }
  }
  if (start < text.length) names.push(text.slice(start).trim());
  return names;
}
