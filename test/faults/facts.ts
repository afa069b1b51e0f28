// What a fault sequence records of a real cluster, and what the checker judges by. All times are ms since the epoch by
// this machine's clock, which Redis shares.
import type { Health } from "@evenkeel/core/health/state.ts";
import type { LoggedEvent, PoolState, Rows } from "@evenkeel/core/ledger/ledger.ts";

/**
 * `kill`: SIGKILL, started again at the end (Redis: with its data). `restart`: SIGTERM, started again at the end. `empty`:
 * Redis is killed and comes back without its data. `freeze`: SIGSTOP. `cut`: a service's connections to Redis are reset and refused. `hold`: they stand, and no byte passes.
 * `fail`: a backend answers 500. `refuse`: it resets and refuses connections.
 */
export type FaultKind = "kill" | "restart" | "empty" | "freeze" | "cut" | "hold" | "fail" | "refuse";

export type Role = "gateway" | "scheduler" | "health-monitor" | "redis" | "backend";

export interface PlannedFault {
  role: Role;
  /** As of a process: "gateway-1", "redis". */
  target: string;
  kind: FaultKind;
  /** From the start of the sequence, ms. */
  atMs: number;
  lastsMs: number;
}

export interface Fault extends PlannedFault {
  fromMs: number;
  /** When its target was whole again: a process that was killed is ready. */
  untilMs: number;
}

export interface RequestFact {
  id: string;
  method: "GET" | "POST";
  /** The last one that was asked. */
  gateway: string;
  startedMs: number;
  endedMs: number;
  /** 0: no complete answer came. */
  status: number;
  /** That answered, or was tried last. */
  backend: string | null;
  /** What the answer says, or why there is none; null where all is well. */
  trouble: string | null;
}

/** The log of the pool in one life of Redis's data. */
export interface Life {
  /** What was known before the first of `events`; a life that began in this sequence has had nothing before. */
  before: { version: number; health: Record<string, Health> } | null;
  events: LoggedEvent[];
  /** Until when it was written; null: it still is. */
  endedMs: number | null;
}

/** Since the cluster began: ids of log entries that a follower of the API saw, beside those that the log had. */
export interface Followed {
  seen: string[];
  /** One for each life of Redis's data. */
  logged: { ids: string[]; lost: boolean }[];
}

/** What one gateway says of the pool. */
export interface GatewayView {
  gateway: string;
  version: number;
  deciding: string;
  eligible: string[];
}

export interface Facts {
  /** Ids of all backends. */
  backends: string[];
  gateways: string[];
  faults: Fault[];
  /** Everything is whole. */
  healedMs: number;
  lives: Life[];
  followed: Followed;
  requests: RequestFact[];
  /** In a row, once all had returned. */
  afterwards: RequestFact[];
  /** One for each POST that a backend carried out. */
  executions: { id: string; backend: string }[];
  /** How long after `healedMs` all backends were picked from by all gateways; null: not within the bound. */
  returnedAfterMs: number | null;
  /** The last look: what is still not as it should be. */
  lacking: string[];
  /** Counts below zero that were seen: "backend-1: -1". */
  negative: string[];
  /** How long after the last answer all counts were zero; null: not within the bound. */
  zeroAfterMs: number | null;
  rows: Rows;
  /** At the end; null: nobody could tell. */
  state: PoolState | null;
  views: GatewayView[];
  /** Retries that gateways refused because their budget was used up. */
  budgetExhausted: number;
  /** Processes that ended, or did not start again, without a fault's doing. */
  deaths: string[];
  /** When this machine kept even this process waiting. */
  stalls: { fromMs: number; untilMs: number }[];
}

export interface Violation {
  /** The rule's name in `RULES`. */
  rule: string;
  what: string;
}

/** What is allowed, counted so that it can be bounded and shown. */
export type Allowance = "gateway gone" | "no sound backend" | "answer broken off" | "budget" | "POST sent";
