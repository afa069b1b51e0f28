// Which scheduler a pool asks, and the message to it. Every gateway prefers the same scheduler for a pool (rendezvous
// hash), so that their statements meet in one batch; any other can take over at once, the truth is in Redis.
import { fnv1a } from "@evenkeel/core/hash.ts";
import type { SettleRequest } from "@evenkeel/core/wire/settle.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import { SettleConnection, type SettleDone } from "./settle-connection.ts";

/** A scheduler that failed is not preferred again for this long. */
const AVOID_MS = 1_000;
/** A settle that has no answer by then has failed. */
export const SETTLE_TIMEOUT_MS = 500;

/** Each ends the settle at once: `done` is called with the reason. */
export interface SettleCall {
  /** The answer is of no interest any more. */
  abort(reason: Error): void;
  /** The answer did not come: its connection is replaced, too. */
  timeOut(reason: Error): void;
}

export interface Schedulers {
  /** The scheduler to ask; null when none is known or all failed just now. */
  prefer(pool: string): string | null;
  /** When all failed just now: the one that failed longest ago, to find out who is back. */
  lastResort(): string | null;
  avoid(url: string): void;
  /** `done` is called exactly once. */
  settle(url: string, pool: string, request: SettleRequest, done: SettleDone): SettleCall;
  close(): void;
}

export interface SchedulersOptions {
  urls: () => readonly string[];
  token: string;
  /** Monotonic, ms. */
  clock: () => number;
  log: Log;
}

export function createSchedulers({ urls, token, clock, log }: SchedulersOptions): Schedulers {
  const connections = new Map<string, SettleConnection>();
  const avoided = new Map<string, number>();
  /** Those whose refusal was logged. */
  const refusing = new Set<string>();

  const connect = (url: string): SettleConnection => {
    forgetUnknown();
    const connection = new SettleConnection({
      url,
      token,
      onOpen() {
        if (refusing.delete(url)) log.info({ scheduler: url }, "the scheduler takes settles again");
      },
      onRefused(reason) {
        if (refusing.has(url)) return;
        refusing.add(url);
        log.error({ scheduler: url, reason }, "the scheduler refuses this gateway");
      },
      onGone(reason, draining) {
        log.debug({ scheduler: url, reason }, "connection to a scheduler given up");
        if (connections.get(url) === connection) connections.delete(url);
        if (draining) avoid(url);
      },
    });
    connections.set(url, connection);
    return connection;
  };

  const forgetUnknown = () => {
    const known = new Set(urls());
    for (const url of [...avoided.keys(), ...refusing]) {
      if (known.has(url)) continue;
      avoided.delete(url);
      refusing.delete(url);
    }
    for (const [url, connection] of connections) if (!known.has(url)) connection.retire("not known any more");
  };

  const avoid = (url: string) => void avoided.set(url, clock() + AVOID_MS);

  return {
    prefer(pool) {
      const now = clock();
      let best: string | null = null;
      let bestRank = -1;
      for (const url of urls()) {
        if ((avoided.get(url) ?? 0) > now) continue;
        const rank = fnv1a(`${pool}\n${url}`);
        if (rank <= bestRank) continue;
        best = url;
        bestRank = rank;
      }
      return best;
    },
    lastResort() {
      const failedAtMs = (url: string) => avoided.get(url) ?? 0;
      return [...urls()].sort((a, b) => failedAtMs(a) - failedAtMs(b))[0] ?? null;
    },
    avoid,
    settle(url, pool, request, done) {
      const connection = connections.get(url) ?? connect(url);
      const id = connection.settle(pool, request, done);
      const abort = (reason: Error) => {
        if (connection.forget(id)) done(reason, null);
      };
      return {
        abort,
        timeOut(reason) {
          connection.retire(reason.message);
          abort(reason);
        },
      };
    },
    close() {
      for (const connection of connections.values()) connection.destroy("the gateway stops");
    },
  };
}
