// Many gateways' statements become few ledger calls. Per pool one call is in flight; what arrives meanwhile waits and
// goes into the next. So there is no timer and no added delay when idle, and batches are large exactly when it is busy.
import type { Ledger, PoolState, Reply, SettleResult, Statement } from "@evenkeel/core/ledger/ledger.ts";
import type { SettleRequest, SettleResponse } from "@evenkeel/core/wire/settle.ts";
import { redisUnavailable, SchedulerError } from "../errors.ts";
import { askKnownPool, type Restore } from "../reconcile/known-pool.ts";
import { createStateReader } from "./state-reader.ts";

/** Statements in one ledger call: more gain nothing, and Redis serves nobody else while it works on one. */
export const STATEMENTS_PER_CALL_MAX = 128;
/** Wants in one ledger call, unless a single statement has more. At some 3 µs each a call stays near 10 ms. */
export const WANTS_PER_CALL_MAX = 4_096;
/** Statements of one pool waiting for their call. Past it Redis is not keeping up, and gateways do better alone. */
export const WAITING_MAX = 2_048;

/** Called once, with a SchedulerError `unknown_pool`, `overloaded` or `redis_unavailable`, or with the answer. */
export type Done = (error: SchedulerError | null, response: SettleResponse | null) => void;

export interface Batcher {
  settle(pool: string, request: SettleRequest, done: Done): void;
}

export interface BatchObserver {
  /** A ledger call for a batch of this size begins; the returned function is called when it has ended. */
  calling(statements: number): () => void;
  /** So many wants of a pool were answered. */
  decided(pool: string, wants: number): void;
  /** Redis failed, and with it a batch of the pool. */
  failed(pool: string, error: Error): void;
}

export interface BatcherOptions {
  ledger: Pick<Ledger, "settle" | "read">;
  restore: Restore;
  observer: BatchObserver;
}

interface Waiting {
  request: SettleRequest;
  done: Done;
}

export function createBatcher({ ledger, restore, observer }: BatcherOptions): Batcher {
  /** Present exactly while the pool has a call in flight. */
  const queues = new Map<string, Waiting[]>();

  const call = async (pool: string, batch: readonly Waiting[]): Promise<SettleResult> => {
    const statements = batch.map(({ request }) => statementOf(request));
    return askKnownPool(pool, restore, async () => {
      const ended = observer.calling(statements.length);
      try {
        return await ledger.settle(pool, statements);
      } finally {
        ended();
      }
    });
  };

  /** Null when it cannot be read: the picks are made and stand, and the gateways will ask again. */
  const read = createStateReader((pool) =>
    ledger.read(pool).catch((error) => {
      observer.failed(pool, error as Error);
      return null;
    }),
  );

  /** Who needs the pool's state waits for one read, shared by all of them; the others do not. */
  const answer = async (pool: string, batch: readonly Waiting[], result: SettleResult): Promise<void> => {
    const { version, replies } = result;
    const needsState = ({ request }: Waiting) => request.refresh || request.version !== version;
    batch.forEach((waiting, i) => {
      if (!needsState(waiting)) waiting.done(null, { ...(replies[i] as Reply), version });
    });
    if (!batch.some(needsState)) return;
    const state = await read(pool);
    batch.forEach((waiting, i) => {
      if (needsState(waiting)) waiting.done(null, withState(replies[i] as Reply, version, state));
    });
  };

  const serve = async (pool: string, batch: readonly Waiting[]): Promise<void> => {
    let result: SettleResult;
    try {
      result = await call(pool, batch);
    } catch (error) {
      const refusal = redisUnavailable(error);
      if (refusal.code === "redis_unavailable") observer.failed(pool, error as Error);
      for (const waiting of batch) waiting.done(refusal, null);
      return;
    }
    observer.decided(pool, wantsOf(batch));
    void answer(pool, batch, result); // the next batch does not wait for a state that is being read
  };

  const drain = async (pool: string, queue: Waiting[]): Promise<void> => {
    while (queue.length > 0) await serve(pool, nextBatch(queue));
    queues.delete(pool);
  };

  return {
    settle(pool, request, done) {
      const queue = queues.get(pool);
      if (!queue) {
        const started = [{ request, done }];
        queues.set(pool, started);
        void drain(pool, started);
      } else if (queue.length < WAITING_MAX) {
        queue.push({ request, done });
      } else {
        done(new SchedulerError("overloaded", `${WAITING_MAX} statements of this pool are waiting`), null);
      }
    },
  };
}

/** Takes the oldest ones out of the queue: at least one, at most what one call may carry. */
function nextBatch(queue: Waiting[]): Waiting[] {
  let wants = 0;
  let size = 0;
  for (const { request } of queue) {
    wants += request.wants.length;
    if (size > 0 && (size === STATEMENTS_PER_CALL_MAX || wants > WANTS_PER_CALL_MAX)) break;
    size += 1;
  }
  return queue.splice(0, size);
}

function statementOf({ gateway, seq, full, held, outcomes, wants }: SettleRequest): Statement {
  return { gateway, seq, full, held, outcomes, wants };
}

/** The state may be newer than the picks; then its version is the one the gateway has from now on. */
function withState(reply: Reply, version: number, pool: PoolState | null): SettleResponse {
  return pool ? { ...reply, version: pool.version, pool } : { ...reply, version };
}

const wantsOf = (batch: readonly Waiting[]): number =>
  batch.reduce((sum, { request }) => sum + request.wants.length, 0);
