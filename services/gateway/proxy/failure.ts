// What went wrong, in one table: the status the client gets, the words, whom it is held against, and whether
// another attempt could do better.
import type { StatusRange } from "@evenkeel/core/config/resolve-health.ts";
import type { Fault } from "../messages/outgoing.ts";
import type { Outcome } from "../scheduling/scheduling.ts";

export interface Failure {
  status: number;
  /** Shown to the client: says what happened and nothing of how the inside looks. */
  text: string;
  outcome: Outcome;
  /**
   * Where another attempt may do better: with another backend, with another connection to whichever backend, or
   * nowhere, since every attempt would end the same way.
   */
  again: "elsewhere" | "anywhere" | "nowhere";
  /** No backend has had any work with it, so that another attempt repeats nothing and need not be saved on. */
  free: boolean;
}

const backendFault = (status: number, text: string): Failure => ({
  status,
  text,
  outcome: "failure",
  again: "elsewhere",
  free: false,
});

export const clientFault = (status: number, text: string): Failure => ({
  status,
  text,
  outcome: "canceled",
  again: "nowhere",
  free: false,
});

export const NO_ROUTE = clientFault(404, "no route leads to this host and path");
export const NOT_REWRITTEN = clientFault(400, "the path cannot be rewritten as this route asks");
export const NO_BACKEND = clientFault(503, "no backend is available");
export const TOO_LARGE = clientFault(413, "the body of the request is larger than this route takes");
export const TOO_LONG = clientFault(504, "the request took longer than this route allows");
/** This gateway's own bound, so the backend is not to blame. */
export const SATURATED: Failure = {
  status: 503,
  text: "too many requests are open to the backend",
  outcome: "canceled",
  again: "elsewhere",
  free: true,
};
/** What this gateway has found out about the backend by itself. */
export const HELD_BACK: Failure = {
  status: 503,
  text: "the backend has failed too often to be tried again now",
  outcome: "canceled",
  again: "elsewhere",
  free: true,
};
/** This process cannot open another connection: whoever it is asked for is not to blame, and another one no better. */
export const EXHAUSTED: Failure = {
  status: 503,
  text: "the gateway cannot open more connections",
  outcome: "canceled",
  again: "nowhere",
  free: false,
};
const BROKEN = backendFault(502, "the connection to the backend broke before it answered");

/** Said by the backend itself, so that even what must not be repeated may be sent again (RFC 9113, 8.7). */
export const UNPROCESSED: Failure = { ...BROKEN, outcome: "canceled", again: "anywhere" };

const BY_FAULT: Record<Fault, Failure> = {
  refused: backendFault(502, "the backend refused the connection"),
  unresolved: backendFault(502, "the backend's name does not resolve"),
  unreachable: backendFault(502, "the backend cannot be reached"),
  "connect-timeout": backendFault(504, "the backend could not be connected to in time"),
  tls: backendFault(502, "no trusted connection to the backend could be made"),
  broken: BROKEN,
  unprocessed: UNPROCESSED,
  // A backend may close an idle connection at any time; one that is gone shows it by refusing the next.
  stale: { ...BROKEN, outcome: "canceled", again: "anywhere", free: true },
  "headers-timeout": backendFault(504, "the backend did not answer in time"),
  "idle-timeout": backendFault(504, "the backend fell silent"),
  "invalid-answer": backendFault(502, "the backend's answer is not valid HTTP"),
  exhausted: EXHAUSTED,
  unsendable: clientFault(400, "the request cannot be forwarded as it is"),
  // The configuration dropped the origin between the pick and the attempt.
  dropped: { ...BROKEN, outcome: "canceled" },
};

/** An answer of which the route says that another one is to be asked for. */
export const notWanted = (status: number, outcome: Outcome): Failure => ({
  status,
  text: "no backend had another answer",
  outcome,
  again: "elsewhere",
  free: false,
});

/** For a fault before any byte of the answer was passed on. */
export const failureOf = (fault: Fault): Failure => BY_FAULT[fault];

/** Statuses as a table: 1 where it is one of them. */
export type Statuses = Readonly<Uint8Array>;

/** Past any that a backend may answer with. */
const STATUS_BOUND = 1_000;

export function statusTable(ranges: readonly StatusRange[]): Statuses {
  const table = new Uint8Array(STATUS_BOUND);
  for (const [from, to] of ranges) table.fill(1, from, to + 1);
  return table;
}

/** What a complete answer with that status says of the backend. */
export type Judge = (status: number) => Outcome;

/** @param failures that are the backend's fault */
export function compileJudge(failures: readonly StatusRange[]): Judge {
  const table = statusTable(failures);
  return (status) => (table[status] === 1 ? "failure" : "success");
}
