// How statements go to the functions in Redis, and how their answers are read: as little text as says it, since the one
// core that decides for all also has to decode it. lua/statements.lua is the other end. Pure.
import { isUsed } from "@evenkeel/core/ledger/agent.ts";
import type {
  BackendFacts,
  BackendState,
  PoolFacts,
  PoolState,
  Reply,
  SettleResult,
  Statement,
  Want,
} from "@evenkeel/core/ledger/ledger.ts";

/** First all statements, then the outcomes of each: they are often not even looked at. */
export function encodeStatements(statements: readonly Statement[]): string[] {
  const outcomes = statements.map(encodeOutcomes);
  const heads = statements.map((s) => [
    s.gateway,
    s.seq,
    s.full ? 1 : 0,
    Object.entries(s.held).flat(),
    encodeWants(s.wants),
    s.wants.length,
    Object.keys(s.outcomes).length,
    Object.values(s.outcomes).some(({ failure, failuresInRow }) => failure + failuresInRow > 0) ? 1 : 0,
  ]);
  return [JSON.stringify(heads), ...outcomes];
}

function encodeOutcomes({ outcomes }: Statement): string {
  const flat: unknown[] = [];
  for (const [id, o] of Object.entries(outcomes))
    flat.push(id, o.success, o.failure, o.failuresInRow, o.latencyUs, o.metrics ?? 0);
  return flat.length > 0 ? JSON.stringify(flat) : "";
}

interface EncodedWant {
  x?: string[] | undefined;
  z?: string | undefined;
  r?: string | undefined;
  s?: string | undefined;
  p?: string | undefined;
  b?: number | undefined;
}

/** A number stands for that many wants without any wishes. */
function encodeWants(wants: readonly Want[]): (number | EncodedWant)[] {
  const encoded: (number | EncodedWant)[] = [];
  let plain = 0;
  for (const want of wants) {
    if (isPlain(want)) {
      plain += 1;
      continue;
    }
    if (plain > 0) encoded.push(plain);
    plain = 0;
    encoded.push(encodeWant(want));
  }
  if (plain > 0) encoded.push(plain);
  return encoded;
}

const isPlain = ({ exclude, zone, ranked, stick, prefer }: Want): boolean =>
  !exclude?.length && zone === undefined && !ranked?.length && stick === undefined && prefer === undefined;

const encodeWant = ({ exclude, zone, ranked, stick, prefer }: Want): EncodedWant => ({
  x: exclude?.length ? exclude : undefined,
  z: zone,
  r: ranked?.join(" "),
  s: stick,
  p: prefer?.backend,
  b: prefer?.below,
});

export function decodeReplies(text: string, statements: readonly Statement[]): SettleResult {
  const [version, ...lines] = text.split("\n");
  return {
    version: Number(version),
    replies: statements.map(({ wants }, i) => decodeReply(lines[i] as string, wants.length)),
  };
}

function decodeReply(line: string, wants: number): Reply {
  if (line === "s") return { status: "stale", resync: false, picks: Array(wants).fill(null) };
  const picks = wants === 0 ? [] : line.slice(1).split(",");
  return { status: "applied", resync: line[0] === "r", picks: picks.map((id) => id || null) };
}

/** What concerns the pool as a whole, and each backend with its positions: as configured, and by name. */
export function encodeFacts({ backends, pool: _, ...params }: PoolFacts): [string, string] {
  const byName = backends.map(({ id }) => id).sort((a, b) => (a < b ? -1 : 1));
  const places = new Map(byName.map((id, i) => [id, i + 1]));
  const zones = [...new Set(backends.flatMap(({ zone }) => zone ?? []))];
  const texts = backends.map((b, rank) => JSON.stringify({ ...b, rank, place: places.get(b.id) }));
  const slotted = backends.some(({ slots }) => slots !== null);
  return [JSON.stringify({ ...params, zones, slotted }), JSON.stringify(texts)];
}

type RawState = [
  inflight: number,
  effectiveWeight: number,
  health: BackendState["health"],
  reason: BackendState["reason"],
  sinceMs: number,
  mode: BackendState["mode"],
  latencyNs: number,
  metrics: Record<string, number>,
  probedMs: number | null,
  ...found: [
    detail?: string | null,
    ejections?: number,
    returnsMs?: number,
    weightPercent?: number | null,
    drain?: boolean,
  ],
];

interface RawPool extends Omit<PoolState, "pool" | "backends"> {
  facts: (BackendFacts & { rank: number; place: number })[];
  states: RawState[];
}

export function decodeState(pool: string, text: string): PoolState {
  const { facts, states, ...rest }: RawPool = JSON.parse(text);
  const backends = facts.map((b, i) => decodeBackend(b, states[i] as RawState));
  return { pool, ...rest, backends };
}

function decodeBackend(
  { rank: _, place: __, ...facts }: RawPool["facts"][number],
  state: RawState,
): BackendState {
  const [inflight, effectiveWeight, health, reason, sinceMs, mode, latencyNs, metrics, probedMs, ...found] =
    state;
  const [detail = null, ejections = 0, returnsMs = 0, weightPercent = null, drain = false] = found;
  const agent = weightPercent === null ? null : { weightPercent, drain };
  return {
    ...facts,
    effectiveWeight,
    inflight,
    health,
    reason,
    sinceMs,
    mode,
    detail,
    ejections,
    returnsMs: returnsMs || null,
    probedMs,
    agent,
    ready: isUsed(mode, agent) && health === "healthy",
    ewmaMs: latencyNs === 0 ? null : latencyNs / 1e6,
    metrics,
  };
}
