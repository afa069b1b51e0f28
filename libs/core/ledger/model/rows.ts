// Rows: what each gateway says it holds, in absolute numbers.
import { GATEWAY_TTL_MS, type Reply, type Statement } from "../ledger.ts";
import { count, type Gateway, type PoolRecord } from "./record.ts";

/** Dead gateways taken out per call, those longest silent first: Redis serves nobody else meanwhile. */
const EXPIRE_AT_ONCE = 64;

/** Applies what the statements hold; answers the replies, picks still missing. */
export function stateRows(pool: PoolRecord, statements: readonly Statement[], nowMs: number): Reply[] {
  expireGateways(pool, new Set(statements.map((s) => s.gateway)), nowMs);
  const newest = new Map<string, number>();
  for (const s of statements) newest.set(s.gateway, Math.max(s.seq, newest.get(s.gateway) ?? 0));
  return statements.map((s) => (s.seq === newest.get(s.gateway) ? stateRow(pool, s, nowMs) : refused(s)));
}

const refused = (s: Statement): Reply => ({ status: "stale", resync: false, picks: s.wants.map(() => null) });

function stateRow(pool: PoolRecord, s: Statement, nowMs: number): Reply {
  const known = pool.gateways.get(s.gateway);
  if (known && s.seq <= known.seq) return refused(s);
  const gateway: Gateway = { seq: s.seq, seenMs: nowMs, row: known?.row ?? new Map() };
  pool.gateways.set(s.gateway, gateway);
  if (s.full)
    for (const id of [...gateway.row.keys()]) if (!Object.hasOwn(s.held, id)) hold(pool, gateway, id, 0);
  for (const [id, n] of Object.entries(s.held)) hold(pool, gateway, id, n);
  return { status: "applied", resync: !s.full && known?.seq !== s.seq - 1, picks: [] };
}

export function hold(pool: PoolRecord, { row }: Gateway, id: string, n: number): void {
  count(pool, id, n - (row.get(id) ?? 0));
  if (n > 0) row.set(id, n);
  else row.delete(id);
}

export function expireGateways(pool: PoolRecord, stating: ReadonlySet<string>, nowMs: number): void {
  const dead = [...pool.gateways].filter(([, { seenMs }]) => seenMs <= nowMs - GATEWAY_TTL_MS);
  dead.sort(([a, { seenMs: x }], [b, { seenMs: y }]) => x - y || (a < b ? -1 : 1));
  for (const [name, gateway] of dead.slice(0, EXPIRE_AT_ONCE)) {
    if (stating.has(name)) continue;
    for (const id of [...gateway.row.keys()]) hold(pool, gateway, id, 0);
    pool.gateways.delete(name);
  }
}
