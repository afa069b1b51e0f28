// Publishes what was found, gathered, and not too often, for every process of the cluster reads each publication. What
// could not be published is tried again.
import { type Discovered, inOrder } from "@evenkeel/core/config/discovered.ts";
import type { DiscoveryStore } from "@evenkeel/ledger/discovery-store.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import { reasonOf, type Timers } from "./source.ts";

/** Answers that come this close together are published as one. */
const GATHER_MS = 50;
/** Between two publications. */
const PUBLISH_EVERY_MS = 250;
/** Published again, changed or not: a replica that took over in Redis may have missed the last time. */
const REPUBLISH_AFTER_MS = 10_000;

export interface PublisherOptions {
  store: Pick<DiscoveryStore, "publish">;
  /** This monitor, as a member. */
  id: string;
  timers: Timers;
  log: Log;
  discovered(): Discovered;
  published(discovered: Discovered): void;
  /** Another one leads. */
  refused(): void;
}

export interface Publisher {
  /** Something may have changed. */
  soon(): void;
  /** To be called now and then. */
  again(): void;
  /** Nothing more is published, until something may have changed again. */
  stop(): void;
}

export function createPublisher(options: PublisherOptions): Publisher {
  const { store, id, timers, log, discovered, published, refused } = options;
  let told: string | null = null;
  let toldAtMs = Number.NEGATIVE_INFINITY;
  let failed = false;
  let cancel: (() => void) | null = null;
  let publishing = false;
  let epoch = 0;

  const publish = async () => {
    const began = epoch;
    const next = discovered();
    const text = JSON.stringify(inOrder(next));
    if (text !== told) {
      publishing = true;
      try {
        const done = await store.publish(id, next);
        failed = false;
        if (began !== epoch) return;
        if (done === "not-leading") return refused();
        told = text;
        toldAtMs = timers.nowMs();
      } catch (error) {
        failed = true;
        log.debug({ reason: reasonOf(error) }, "what was found is not published yet");
      } finally {
        publishing = false;
      }
    }
    if (began === epoch) published(next);
  };

  const soon = () => {
    if (cancel) return;
    const waitMs = Math.max(GATHER_MS, toldAtMs + PUBLISH_EVERY_MS - timers.nowMs());
    cancel = timers.after(waitMs, () => {
      cancel = null;
      if (publishing) soon();
      else void publish();
    });
  };

  return {
    soon,
    again() {
      if (timers.nowMs() - toldAtMs > REPUBLISH_AFTER_MS) told = null;
      if (failed || told === null) soon();
    },
    stop() {
      epoch += 1;
      cancel?.();
      cancel = null;
      told = null;
      failed = false;
    },
  };
}
