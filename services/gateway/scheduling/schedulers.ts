// Which scheduler a pool asks, and the message to it. Every gateway prefers the same scheduler for a pool (rendezvous
// hash), so that their statements meet in one batch; any other can take over at once, the truth is in Redis.
import { fnv1a } from "@evenkeel/core/hash.ts";
import type { SettleRequest, SettleResponse } from "@evenkeel/core/wire/settle.ts";
import { Pool as ConnectionPool, type Dispatcher } from "undici";

/** A scheduler that failed is not preferred again for this long. */
const AVOID_MS = 1_000;
/** A settle that has no answer by then has failed. */
export const SETTLE_TIMEOUT_MS = 500;
const CONNECTIONS_MAX = 64;
const RESPONSE_BYTES_MAX = 64 * 1024 * 1024;

/** The scheduler works but will not have this statement, or does not know the pool: asking another is no use. */
export class SettleRefused extends Error {
  override name = "SettleRefused";
}

export interface SettleCall {
  abort(reason: Error): void;
}

export interface Schedulers {
  /** The scheduler to ask; null when none is known or all failed just now. */
  prefer(pool: string): string | null;
  /** When all failed just now: the one that failed longest ago, to find out who is back. */
  lastResort(): string | null;
  avoid(url: string): void;
  /** `done` is called exactly once. */
  settle(
    url: string,
    pool: string,
    request: SettleRequest,
    done: (error: Error | null, response: SettleResponse | null) => void,
  ): SettleCall;
  close(): Promise<void>;
}

export interface SchedulersOptions {
  urls: () => readonly string[];
  token: string;
  /** Monotonic, ms. */
  clock: () => number;
}

export function createSchedulers({ urls, token, clock }: SchedulersOptions): Schedulers {
  const connections = new Map<string, ConnectionPool>();
  const avoided = new Map<string, number>();
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (token !== "") headers.authorization = `Bearer ${token}`;

  const connection = (url: string): ConnectionPool => {
    let pool = connections.get(url);
    if (!pool) {
      dropUnknown();
      pool = new ConnectionPool(url, {
        connections: CONNECTIONS_MAX,
        allowH2: false,
        connect: { timeout: SETTLE_TIMEOUT_MS },
        keepAliveTimeout: 30_000,
      });
      connections.set(url, pool);
    }
    return pool;
  };

  const dropUnknown = () => {
    const known = new Set(urls());
    for (const [url, pool] of connections) {
      if (known.has(url)) continue;
      connections.delete(url);
      avoided.delete(url);
      void pool.close().catch(() => {});
    }
  };

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
    avoid: (url) => void avoided.set(url, clock() + AVOID_MS),
    settle(url, pool, request, done) {
      const reader = new ResponseReader(done);
      const path = `/v1/pools/${encodeURIComponent(pool)}/settle`;
      try {
        connection(url).dispatch({ path, method: "POST", headers, body: JSON.stringify(request) }, reader);
      } catch (error) {
        process.nextTick(() => reader.abort(error as Error)); // a URL that cannot be one: as if nobody answered there
      }
      return reader;
    },
    async close() {
      await Promise.all([...connections.values()].map((pool) => pool.destroy()));
    },
  };
}

class ResponseReader implements Dispatcher.DispatchHandler, SettleCall {
  #done: ((error: Error | null, response: SettleResponse | null) => void) | null;
  #controller: Dispatcher.DispatchController | null = null;
  #aborted: Error | null = null;
  #status = 0;
  #size = 0;
  #chunks: Buffer[] = [];

  constructor(done: (error: Error | null, response: SettleResponse | null) => void) {
    this.#done = done;
  }

  abort(reason: Error): void {
    this.#aborted = reason;
    this.#controller?.abort(reason);
    this.#finish(reason, null);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#aborted) controller.abort(this.#aborted);
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status;
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#size += chunk.length;
    if (this.#size > RESPONSE_BYTES_MAX) controller.abort(new Error("settle response too large"));
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const text = (
      this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks)
    ).toString();
    if (this.#status !== 200) {
      const reason = `scheduler answered ${this.#status}: ${text.slice(0, 200)}`;
      this.#finish(this.#status < 500 ? new SettleRefused(reason) : new Error(reason), null);
      return;
    }
    let response: SettleResponse;
    try {
      response = JSON.parse(text);
    } catch (error) {
      this.#finish(error as Error, null);
      return;
    }
    this.#finish(null, response);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#finish(error, null);
  }

  #finish(error: Error | null, response: SettleResponse | null): void {
    const done = this.#done;
    this.#done = null;
    done?.(error, response);
  }
}
