// What went wrong, in one table: the status the client gets, the words, whom it is held against, and whether
// another backend could do better.
import type { Outcome } from "../scheduling/scheduling.ts";

export interface Failure {
  status: number;
  /** Shown to the client: says what happened and nothing of how the inside looks. */
  text: string;
  outcome: Outcome;
  /** False where every backend would end the same way. */
  elsewhere: boolean;
}

const backendFault = (status: number, text: string): Failure => ({
  status,
  text,
  outcome: "failure",
  elsewhere: true,
});

const clientFault = (status: number, text: string): Failure => ({
  status,
  text,
  outcome: "canceled",
  elsewhere: false,
});

export const NO_ROUTE = clientFault(404, "no route leads to this host and path");
export const NO_BACKEND = clientFault(503, "no backend is available");
/** This gateway's own bound, so the backend is not to blame. */
export const SATURATED: Failure = {
  status: 503,
  text: "too many requests are open to the backend",
  outcome: "canceled",
  elsewhere: true,
};
/** This process cannot open another connection: whoever it is asked for is not to blame, and another one no better. */
export const EXHAUSTED: Failure = {
  status: 503,
  text: "the gateway cannot open more connections",
  outcome: "canceled",
  elsewhere: false,
};
export const malformed = (text: string): Failure => clientFault(400, text);

const BROKEN = backendFault(502, "the connection to the backend broke before it answered");
const CONNECT_TIMEOUT = backendFault(504, "the backend could not be connected to in time");
const INVALID_ANSWER = backendFault(502, "the backend's answer is not valid HTTP");
const INVALID_REQUEST = malformed("the request cannot be forwarded as it is");
/** The configuration dropped the origin between the pick and the dispatch. */
const ORIGIN_CLOSED: Failure = { ...BROKEN, outcome: "canceled" };

const BY_CODE: ReadonlyMap<string, Failure> = new Map([
  ["ECONNREFUSED", backendFault(502, "the backend refused the connection")],
  ["ECONNRESET", BROKEN],
  ["UND_ERR_SOCKET", BROKEN],
  ["ENOTFOUND", backendFault(502, "the backend's name does not resolve")],
  ["EHOSTUNREACH", backendFault(502, "the backend cannot be reached")],
  ["ENETUNREACH", backendFault(502, "the backend cannot be reached")],
  ["UND_ERR_CONNECT_TIMEOUT", CONNECT_TIMEOUT],
  ["ETIMEDOUT", CONNECT_TIMEOUT],
  ["UND_ERR_HEADERS_TIMEOUT", backendFault(504, "the backend did not answer in time")],
  ["UND_ERR_HEADERS_OVERFLOW", INVALID_ANSWER],
  ["UND_ERR_RES_CONTENT_LENGTH_MISMATCH", INVALID_ANSWER],
  ["UND_ERR_INVALID_ARG", INVALID_REQUEST],
  ["UND_ERR_NOT_SUPPORTED", INVALID_REQUEST],
  ["UND_ERR_REQ_CONTENT_LENGTH_MISMATCH", INVALID_REQUEST],
  ...["EMFILE", "ENFILE", "EADDRNOTAVAIL", "ENOBUFS", "ENOMEM"].map((code) => [code, EXHAUSTED] as const),
  ["UND_ERR_CLOSED", ORIGIN_CLOSED],
  ["UND_ERR_DESTROYED", ORIGIN_CLOSED],
]);

/** For an error before any byte of the answer was passed on. */
export function failureOf(error: Error): Failure {
  const known = BY_CODE.get((error as NodeJS.ErrnoException).code ?? "");
  return known ?? (error.name === "HTTPParserError" ? INVALID_ANSWER : BROKEN);
}

/** A complete answer counts as the backend's failure only where it says that it cannot serve. */
export const outcomeOf = (status: number): Outcome =>
  status === 502 || status === 503 || status === 504 ? "failure" : "success";
