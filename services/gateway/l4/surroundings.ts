// What connections and sessions below HTTP share, and what a route means to them.
import type { Pool, Route } from "@evenkeel/core/config/resolve.ts";
import type { Want } from "@evenkeel/core/ledger/ledger.ts";
import type { Arrival } from "../proxy/arrival.ts";
import type { Breakers } from "../proxy/breaker.ts";
import type { RetryBudget } from "../proxy/retry-budget.ts";
import type { Scheduling } from "../scheduling/scheduling.ts";
import type { StreamReport } from "./report.ts";

/** The pool that serves one connection or session, and what is asked of the scheduler for it. */
export interface StreamDestination {
  pool: Pool;
  budget: RetryBudget;
  /** Null: every pick is tried. Only connections are held back: UDP does not tell whether anybody is there. */
  breakers: Pick<Breakers, "of"> | null;
  want: Want | null;
  /** The one backend that is bound to serve it; null: any of the pool. */
  held: string | null;
  /** Where it goes when nobody here can take it; null: nowhere. */
  next: (() => StreamDestination | null) | null;
}

export interface StreamSurroundings {
  scheduling: Scheduling;
  report: StreamReport;
  /** Told of retries, as requests tell of theirs. */
  retries: { retried(pool: string): void; budgetExhausted(pool: string): void };
  /** ms, monotonic */
  clock: () => number;
  /** Under the configuration of the moment. @param sni lower case; null: none */
  route(listener: string, sni: string | null, client: string): Route | null;
  /** Whether that client may use that route, as far as an address can tell. */
  allowed(route: Route, client: string): boolean;
  /** Asked once for each connection or session. Null: the route leads to no pool. */
  destination(route: Route, arrival: Arrival): StreamDestination | null;
}

/** A connection in the form in which requests are known: what a pool asks of a request, it may ask of this. */
export const arrivalOf = (
  listener: string,
  client: string,
  localPort: number,
  servername: string | null,
): Arrival => ({
  head: {
    method: "",
    target: "",
    version: "1.1",
    authority: servername,
    fields: [],
    connection: null,
    bodyLength: Number.POSITIVE_INFINITY,
    upgrade: null,
  },
  connection: {
    endpoint: { name: listener, closing: false },
    ...{ peer: client, peerPort: 0, localAddress: "", localPort, tls: null },
  },
  target: { host: servername ?? "", authority: servername ?? "", path: "", forwarded: "" },
  trusted: false,
  client,
});
