// Who does the discovery: one monitor at a time, as long as it says so in time. Redis decides; what is written under a lead
// that has passed on is refused there, so a monitor that slept through it can do no harm.
import type { Discovered } from "@evenkeel/core/config/discovered.ts";
import type { DiscoveryStore } from "@evenkeel/ledger/discovery-store.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import { reasonOf, type Timers } from "./source.ts";

/** How long after its death another monitor leads, at most. */
export const LEAD_TTL_MS = 3_000;
/** Two renewals may be lost. */
export const RENEW_EVERY_MS = 1_000;

export interface LeadOptions {
  store: Pick<DiscoveryStore, "lead" | "resign" | "read">;
  id: string;
  timers: Timers;
  log: Log;
  /** Whether this member could do it. */
  able(): boolean;
  /** @param discovered what is known to everyone */
  onTaken(discovered: Discovered): void;
  onLost(): void;
  /** After each renewal. */
  onKept(): void;
}

export interface Lead {
  readonly leading: boolean;
  /** Redis said so: another one leads, or nobody. */
  lost(): void;
  stop(): Promise<void>;
}

export function startLead({ store, id, timers, log, able, onTaken, onLost, onKept }: LeadOptions): Lead {
  let leading = false;
  let untilMs = 0;
  let stopped = false;
  let cancel = () => {};

  const lost = () => {
    if (!leading) return;
    leading = false;
    onLost();
  };

  const renew = async () => {
    const beganMs = timers.nowMs();
    try {
      const mine = able() && (await store.lead(id, LEAD_TTL_MS));
      if (!mine) lost();
      else if (!stopped) {
        untilMs = beganMs + LEAD_TTL_MS;
        const discovered = leading ? null : await store.read();
        if (discovered && !stopped && timers.nowMs() < untilMs) {
          leading = true;
          onTaken(discovered);
        }
      }
    } catch (error) {
      log.debug({ reason: reasonOf(error) }, "the lead of discovery was not renewed");
    }
    if (timers.nowMs() >= untilMs) lost();
    if (leading) onKept();
    const waitMs = Math.max(0, RENEW_EVERY_MS - (timers.nowMs() - beganMs));
    if (!stopped) cancel = timers.after(waitMs, () => (renewing = renew()));
  };

  let renewing = renew();
  return {
    get leading() {
      return leading;
    },
    lost,
    async stop() {
      stopped = true;
      cancel();
      await renewing;
      lost();
      // The lead ends by itself otherwise, a moment later.
      await store.resign(id).catch(() => {});
    },
  };
}
