// Keeps one registration alive: renewed in time, by the next scheduler when one fails, and ended when it is told to stop.
import { type AdminApi, AdminApiError, type RegistrationFacts, type Renewal } from "../admin-api.ts";

/** Between tries while none succeeds: doubled each time, up to the renewal's own time, and never longer than this. */
const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 5_000;
/** As long as no scheduler has said how long a registration lasts. */
const RENEW_AFTER_MS = 3_000;
/** Taken off at random, so that those who lost a scheduler together do not come back together. */
const JITTER = 0.2;

type Registry = Pick<AdminApi, "register" | "deregister">;

export interface RenewalOptions {
  /** One for each scheduler. */
  registries: readonly Registry[];
  pool: string;
  id: string;
  /** @throws when it cannot be told yet; then it is asked again */
  facts(): Promise<RegistrationFacts>;
  /** Ends the registration. */
  signal: AbortSignal;
  /** Called when it begins to work, and when it no longer does: not for every try. */
  onRegistered(renewal: Renewal): void;
  onFailing(reason: string): void;
  /** From 0 to 1. */
  random(): number;
  /** Resolves after the time, or with the signal. */
  pause(ms: number, signal: AbortSignal): Promise<void>;
}

/** A scheduler refused, and before it was ever taken: asking again would not help. */
export class RefusedError extends Error {
  override name = "RefusedError";
}

/** What no repetition makes good. A pool may yet be made, an id be free, a place be left. */
const FOR_GOOD: ReadonlySet<number> = new Set([400, 401, 403]);

/**
 * Resolves after `signal`, when the registration is ended, or cannot be.
 * @param giveUp refused for good before it was ever taken, it rejects instead of asking again
 * @throws RefusedError
 */
export async function keepRegistered(options: RenewalOptions, giveUp: boolean): Promise<void> {
  const { signal, onRegistered, onFailing, random } = options;
  const turn = inTurn(options.registries);
  let working: boolean | null = null;
  let renewAfterMs = RENEW_AFTER_MS;
  let retryMs = RETRY_FIRST_MS;
  while (!signal.aborted) {
    let waitMs: number;
    try {
      const facts = await options.facts();
      const renewal = await turn((registry) => registry.register(options.pool, options.id, facts));
      renewAfterMs = renewal.renewAfterMs;
      retryMs = RETRY_FIRST_MS;
      waitMs = renewAfterMs;
      if (working !== true) onRegistered(renewal);
      working = true;
    } catch (error) {
      if (giveUp && working === null && isForGood(error)) throw new RefusedError((error as Error).message);
      if (working !== false) onFailing((error as Error).message);
      working = false;
      waitMs = Math.min(retryMs, renewAfterMs);
      retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
    }
    await options.pause(waitMs * (1 - JITTER * random()), signal);
  }
  await leave(options, turn);
}

const isForGood = (error: unknown): boolean => error instanceof AdminApiError && FOR_GOOD.has(error.status);

type Turn = <T>(ask: (registry: Registry) => Promise<T>) => Promise<T>;

/** The one that answered last goes first. The next is asked when one cannot be reached or cannot do it. */
function inTurn(registries: readonly Registry[]): Turn {
  let order = [...registries];
  return async (ask) => {
    let failure: unknown = new Error("no scheduler is known");
    for (const registry of order) {
      try {
        const answer = await ask(registry);
        order = [registry, ...order.filter((other) => other !== registry)];
        return answer;
      } catch (error) {
        failure = error;
        if (error instanceof AdminApiError && error.status > 0 && error.status < 500) throw error;
      }
    }
    throw failure;
  };
}

async function leave({ pool, id, onFailing }: RenewalOptions, turn: Turn): Promise<void> {
  try {
    await turn((registry) => registry.deregister(pool, id));
  } catch (error) {
    if (error instanceof AdminApiError && error.status === 404) return; // there is none: it had expired, or never was
    onFailing(`${(error as Error).message}; the registration ends by itself`);
  }
}
