// The ledger: the shared count of what is in flight, and the one verb that changes it. Every gateway owns one row
// per pool (backend → how many it holds), states it in absolute numbers, and asks for what it wants in the same
// message. A lost, late or repeated message can therefore never leave a count wrong: the next one sets it right.
// Two implementations (`model.ts` in memory, RedisLedger) pass one contract suite.
import type { Distances } from "../config/geography.ts";
import type { Criterion } from "../config/resolve-scheduling.ts";
import type { Policy } from "../config/schema-scheduling.ts";
import type { Health, HealthReason, Mode } from "../health/state.ts";

/** A gateway that has not settled for this long is dead and its row is subtracted. */
export const GATEWAY_TTL_MS = 3_000;

/** What became of requests to one backend since the last statement. */
export interface Outcomes {
  success: number;
  failure: number;
  canceled: number;
  /** Failures after the last success among these. */
  failuresInRow: number;
  /** Mean time to first byte of the successes, µs, a whole number; 0 when there was none. */
  latencyUs: number;
  /** What the backend said of itself with its answers: metric → value, the last one. At most `MAX_METRICS`. */
  metrics?: Record<string, number>;
}

/** A request that needs a backend. Empty is usual; what a policy has no use for, or does not know, it ignores. */
export interface Want {
  /** Backends not to pick: those already tried. At most `MAX_EXCLUDES`. */
  exclude?: string[];
  /** Where the request comes from, for policies that reckon with distance. */
  zone?: string;
  /** `hash`: backends in the order of the request's key. At most `MAX_RANKED`. */
  ranked?: string[];
  /** The backend of the client's session: goes before the policy, after eligibility. */
  stick?: string;
  /** The static backend of a hybrid route: goes after the session, before the policy. */
  prefer?: Preference;
}

/**
 * Taken where it is ready (healthy and active, whatever its tier), not full, not excluded, and has fewer than `below` in
 * flight, all gateways together; in slow start fewer than that part of `below`, at least one. Else the policy picks among
 * the others, and only where none of them may take the want among all.
 */
export interface Preference {
  backend: string;
  /** In flight; at least 1, at most `BELOW_MAX`. */
  below: number;
}

export const MAX_WANTS = 1_024;
export const MAX_EXCLUDES = 16;
export const MAX_RANKED = 8;
/** More in flight than one backend can have. */
export const BELOW_MAX = 10_000_000;
export const MAX_METRICS = 16;
/** Larger values of a metric, of either sign, are refused. */
export const METRIC_VALUE_MAX = 1e12;

/** What one gateway says of one pool. */
export interface Statement {
  /** Unique to one process lifetime, so that a restarted gateway never inherits a row. */
  gateway: string;
  /** Rises by one with every statement of this gateway for this pool; an older or equal one is refused. */
  seq: number;
  /** True: `held` is the whole row, what it does not name is 0. False: only what may have changed. */
  full: boolean;
  held: Record<string, number>;
  outcomes: Record<string, Outcomes>;
  wants: Want[];
}

export interface Reply {
  /** `stale`: refused, an equal or newer one was already applied; nothing changed and nothing was picked. */
  status: "applied" | "stale";
  /**
   * True: this partial statement did not follow the last one applied (the row is not known, or older data of Redis
   * came back), so the next one must be full.
   */
  resync: boolean;
  /** One per want, in order; null when no backend may take it. Already counted in the gateway's row. */
  picks: (string | null)[];
}

export interface SettleResult {
  /** Rises with every change of the pool's membership, health, mode or policy. */
  version: number;
  replies: Reply[];
}

/** What the applied configuration says of a pool, as far as scheduling and health need it. */
export interface PoolFacts {
  pool: string;
  /** Version of the configuration this came from; an older one is ignored. */
  configVersion: number;
  policy: Policy;
  rise: number;
  fall: number;
  /** How long one failure keeps an unhealthy backend out, times how often it left lately, at most `maxHoldMs`. */
  holdMs: number;
  maxHoldMs: number;
  /** Failures of requests in a row to leave. */
  failures: number;
  /** Of at least `minRequests` in a window of `windowMs`, to leave; 0: no such rule. */
  failurePercent: number;
  windowMs: number;
  minRequests: number;
  /** Of the active backends that may be out before requests take out no more; one always may. */
  maxEjectPercent: number;
  /** Of a new backend. */
  initial: Health;
  /** With a smaller share of the active backends healthy, all active ones are used. */
  panicPercent: number;
  /** 0: a backend that joins or returns has its whole weight at once. */
  slowStartMs: number;
  slowStartPercent: number;
  /** `hash`: times its share of all in flight at which a backend is passed over. */
  hashBound: number;
  /** `geo`: in flight per unit of weight from which a backend has no room. */
  spillAt: number;
  /** `criteria` */
  criteria: Criterion[];
  /** Zone of a request → zone of a backend → distance; empty unless the policy reckons with it. */
  distances: Distances;
  /** In the order in which `first` fills them. */
  backends: BackendFacts[];
}

export interface BackendFacts {
  id: string;
  url: string;
  weight: number;
  zone: string | null;
  maxInflight: number | null;
  /** How many it serves at once, more wait inside it; null when not told. */
  slots: number | null;
  /** Tier: 0 goes first; higher ones take over as far as those before lack healthy backends. */
  priority: number;
  cost: number;
}

export interface BackendState extends BackendFacts {
  /** With its tier's share and its slow start; 0 while no pick may take it. */
  effectiveWeight: number;
  inflight: number;
  health: Health;
  reason: HealthReason;
  sinceMs: number;
  mode: Mode;
  /** What was seen last, in words: "status 503", "3 failures in a row"; null: nothing worth a word. */
  detail: string | null;
  /** How often it left lately: what it stays out for grows with it. */
  ejections: number;
  /** Unhealthy: it does not return before this, ms since the epoch; null: it may at any time. */
  returnsMs: number | null;
  /** When the last probe that counted was due; null: none was. */
  probedMs: number | null;
  /** What its agent asked for last; null: nothing. */
  agent: AgentWish | null;
  /** healthy and active, and its agent does not wish to drain. In panic an unready backend may still be picked. */
  ready: boolean;
  /** Mean time to first byte over the last seconds, ms, failures charged as slow; null before the first success. */
  ewmaMs: number | null;
  /** What it last reported of itself. */
  metrics: Record<string, number>;
}

export interface PoolState {
  pool: string;
  version: number;
  policy: Policy;
  panic: boolean;
  backends: BackendState[];
}

/** The rows behind the counts, for tests and for an operator who wants to know who holds what. */
export type Rows = Record<string, Record<string, number>>;

/** What a backend's agent asks for. */
export interface AgentWish {
  /** Of its weight, 0 to 100, in steps of `AGENT_WEIGHT_STEP`. 0 is as good as drained. */
  weightPercent: number;
  drain: boolean;
}

/** So that a load that trembles does not make an event each time. */
export const AGENT_WEIGHT_STEP = 5;
/** A wish that was not repeated for so long is void. */
export const AGENT_TTL_MS = 30_000;

export const MAX_DETAIL = 120;

/** One probe's finding. */
export interface Finding {
  backend: string;
  /** The address that was probed: found out about another one, it does not count. */
  url: string;
  ok: boolean;
  /** What was seen: "status 503"; at most `MAX_DETAIL` characters. */
  detail?: string;
  /**
   * When the probe was due, ms since the epoch, the same for all monitors: a finding that is not newer than the last
   * one counts for nothing, so that two monitors that overlap never count twice. Left out: it counts.
   */
  dueMs?: number;
  /** What the backend's agent said of its load; at most `MAX_METRICS`. */
  metrics?: Record<string, number>;
  /** What it asks for; left out: it said nothing of it. */
  agent?: AgentWish;
}

export interface Transition {
  backend: string;
  from: Health;
  to: Health;
  reason: HealthReason;
  detail: string | null;
}

export interface Observation {
  transitions: Transition[];
  /** Of those observed: it takes less than `fall` or `rise` more findings to change their health. */
  doubtful: string[];
}

/** What happened to a pool: one entry of its log. Several may have one version; versions of a log have no gaps. */
export type LedgerEvent = { version: number /** By Redis's clock. */; atMs: number } & (
  | ({ type: "health"; ejections: number } & Transition)
  | { type: "mode"; backend: string; from: Mode; to: Mode }
  /** What its agent asks for now. */
  | ({ type: "agent"; backend: string } & AgentWish)
  /** It begins, or is over. */
  | { type: "panic"; on: boolean }
  /** Another configuration: at most `MAX_NAMED` of each are named. */
  | { type: "members"; configVersion: number; joined: string[]; left: string[]; size: number }
);

export const MAX_NAMED = 16;

/** Entries of a pool's log that are kept, about. */
export const EVENTS_KEPT = 1_000;

export interface LoggedEvent {
  /** Rises along the log; of a Redis Stream: `<ms>-<n>` by Redis's clock. */
  id: string;
  event: LedgerEvent;
}

/**
 * Every method is atomic. All but `configure`, `rows` and `events` answer null for a pool that was never configured (or was lost with
 * Redis): the caller configures it and asks again.
 */
export interface Ledger {
  settle(pool: string, statements: readonly Statement[]): Promise<SettleResult | null>;
  /** Idempotent. Answers the pool's version. Counts, health and modes of backends that stay are kept. */
  configure(facts: PoolFacts): Promise<number>;
  /** Applies probe findings to the shared health; answers what they caused. Unknown ids are ignored. */
  observe(pool: string, findings: readonly Finding[]): Promise<Observation | null>;
  /** False when the pool has no such backend. */
  setMode(pool: string, backend: string, mode: Mode): Promise<boolean | null>;
  read(pool: string): Promise<PoolState | null>;
  rows(pool: string): Promise<Rows>;
  /**
   * The log's oldest entries after `after` (an id; null: from its beginning), at most `most`; none for a pool that is not
   * known.
   */
  events(pool: string, after: string | null, most: number): Promise<LoggedEvent[]>;
  /** Ignored where a newer configuration than `configVersion` has configured the pool. */
  remove(pool: string, configVersion: number): Promise<void>;
}
