// A kind of fault, and what came of it.
import type { FaultyBackend } from "./backends.ts";
import type { Lateness } from "./lateness.ts";
import type { RouteName } from "./world.ts";

export interface Kind {
  /** As the table names it. */
  title: string;
  /** Which of the eight backends: each is used as little as possible, since those that left before stay out longer. */
  backend: number;
  route: RouteName;
  faultMs: number;
  /** In a short run. */
  quickMs: number;
  /** From a pick that meets the fault to its failure, as a gateway sees it, ms; null: it is no failure. */
  failsAfterMs: number | null;
  inflict(backend: FaultyBackend): Promise<number>;
  lift(backend: FaultyBackend): Promise<number>;
  /** Gateways should not pick it until it is lifted. */
  shunned: boolean;
  /** In a word what must hold, and whether it did; null: nothing is promised. */
  bound: { text: string; holds(result: KindResult): boolean } | null;
}

export interface KindResult {
  requests: number;
  failures: number;
  failuresInWords: string;
  /** From the fault to its end; each of them has met it. */
  picks: number;
  /** The last one of any gateway, after the fault; null: there was none. */
  lastPickMs: number | null;
  /** The same, after the first attempt that failed; null where none did. */
  lastPickAfterFailureMs: number | null;
  /** Until it was unhealthy in the ledger, after the fault; null: it never was. */
  outMs: number | null;
  /** "traffic: 3 failures in a row" */
  outBy: string;
  /** How long it was out each time. */
  outsMs: number[];
  /** After the fault was lifted; null: not within BACK_MAX_MS, NaN: it was healthy then. */
  healthyMs: number | null;
  firstPickMs: number | null;
  p99Ms: { before: number; during: number };
  share: { before: number; during: number };
  /** Of timers of the benchmark, while the fault lasted. */
  late: Lateness;
}
