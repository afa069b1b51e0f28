// What errors of sockets mean for an attempt.
import type { Fault } from "../messages/outgoing.ts";

const BY_CODE: ReadonlyMap<string, Fault> = new Map<string, Fault>([
  ["ECONNREFUSED", "refused"],
  ["ENOTFOUND", "unresolved"],
  ["EAI_AGAIN", "unresolved"],
  ["EAI_FAIL", "unresolved"],
  ["EAI_NODATA", "unresolved"],
  ["EHOSTUNREACH", "unreachable"],
  ["ENETUNREACH", "unreachable"],
  ["EHOSTDOWN", "unreachable"],
  ["ENETDOWN", "unreachable"],
  ["ETIMEDOUT", "connect-timeout"],
  ["EMFILE", "exhausted"],
  ["ENFILE", "exhausted"],
  ["EADDRNOTAVAIL", "exhausted"],
  ["ENOBUFS", "exhausted"],
  ["ENOMEM", "exhausted"],
]);

/** Accepted and dropped in one. */
const RESET: ReadonlySet<string> = new Set(["ECONNRESET", "ECONNABORTED", "EPIPE"]);

/** Of OpenSSL's alerts and failed agreements, and of its verdicts on certificates. */
const TLS_CODE =
  /^(?:ERR_SSL|ERR_TLS|ERR_OSSL|EPROTO|CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_)/;

const codeOf = (error: Error): string => (error as NodeJS.ErrnoException).code ?? "";

export const isTlsFault = (error: Error): boolean => TLS_CODE.test(codeOf(error));

/** Of a connection that was not there yet. @param handshaking the peer has accepted it, TLS is not agreed yet */
export function connectFault(error: Error, handshaking: boolean): Fault {
  const known = BY_CODE.get(codeOf(error));
  if (known !== undefined) return known;
  if (handshaking || isTlsFault(error)) return "tls";
  return RESET.has(codeOf(error)) ? "broken" : "unreachable";
}

/** Of a connection that was there. */
export const brokenFault = (error: Error): Fault => (isTlsFault(error) ? "tls" : "broken");

export const detailOf = (error: Error): string => codeOf(error) || error.message;
