// The discovery of all pools: while this monitor leads, it runs every source of the configuration and publishes what they
// find; while it does not, it runs none. What counts as found is in reconcile.ts, who leads in lead.ts.
import type { Discovered } from "@evenkeel/core/config/discovered.ts";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import type { DiscoveryStore } from "@evenkeel/ledger/discovery-store.ts";
import type { Registrations } from "@evenkeel/ledger/registrations.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import { createBoard } from "./board.ts";
import { startLead } from "./lead.ts";
import type { DiscoveryMetrics } from "./metrics.ts";
import { createPublisher } from "./publisher.ts";
import { discoveredOf, leftOutOf } from "./reconcile.ts";
import { createReport } from "./report.ts";
import { realTimers, type Timers } from "./source.ts";
import { createSources, type Sources } from "./sources.ts";

/** What was found for pools that the configuration does not name stays so long: this monitor's may be an old one. */
const FORGET_AFTER_MS = 5_000;

/** What an operator wrote, and what is known to have been found. */
export interface DiscoveryConfig {
  /** The same object as before where it is the same. */
  written: ConfigDocument;
  discovered: Discovered;
}

export interface DiscoveryOptions {
  store: DiscoveryStore;
  registrations: Pick<Registrations, "list">;
  /** How long ago a scheduler was last heard of; null: none is there. */
  schedulerAgoMs: () => Promise<number | null>;
  /** This monitor, as a member. */
  id: string;
  metrics: DiscoveryMetrics;
  log: Log;
  timers?: Timers;
  sources?: Sources;
}

export interface RunningDiscovery {
  /** The applied configuration, whenever it changed. Nothing is looked for before the first. */
  configure(config: DiscoveryConfig): void;
  /** A newer one is applied that this release does not understand: it may have pools that are not known here. */
  behind(): void;
  /** Somebody registered in a pool, or left it. */
  onRegistration(pool: string): void;
  readonly leading: boolean;
  /** Gives the lead to another monitor. */
  stop(): Promise<void>;
}

export function startDiscovery(options: DiscoveryOptions): RunningDiscovery {
  const { store, id, metrics, log, timers = realTimers } = options;
  const sources = options.sources ?? createSources(options.registrations, options.schedulerAgoMs, timers);
  const report = createReport(metrics, log);
  let config: DiscoveryConfig | null = null;
  let known: Discovered = {};
  let forgetAtMs = 0;
  let behind = false;

  const board = createBoard({
    ...{ sources, timers },
    onAnswer(pool, source, before, after) {
      const changed = report.answered(pool, source, before, after);
      if (changed || before.rejected.length + after.rejected.length > 0) publisher.soon();
    },
  });
  const publisher = createPublisher({
    ...{ store, id, timers, log },
    discovered: () => discoveredOf(board.found()),
    published(discovered) {
      if (config) report.leftOut(leftOutOf(board.found(), config.written, discovered));
    },
    refused: () => lead.lost(),
  });
  const follow = () => {
    if (!config || !lead.leading) return;
    board.follow(config.written);
    publisher.soon();
  };

  metrics.leading.set(0);
  const lead = startLead({
    ...{ store, id, timers, log },
    able: () => config !== null,
    onTaken(discovered) {
      log.info("this monitor does the discovery now");
      metrics.leading.set(1);
      // What Redis has lost is what was known here last.
      board.load({ ...known, ...discovered });
      forgetAtMs = timers.nowMs() + FORGET_AFTER_MS;
      follow();
    },
    onKept() {
      report.ages(board.ages());
      const forgotten = config && !behind && timers.nowMs() >= forgetAtMs ? board.forget() : [];
      for (const { pool, source } of forgotten) metrics.forget(pool, source);
      if (forgotten.length > 0) publisher.soon();
      publisher.again();
    },
    onLost() {
      log.info("this monitor does the discovery no more");
      board.clear();
      publisher.stop();
      metrics.leading.set(0);
      metrics.forgetAll();
    },
  });

  return {
    configure(next) {
      const changed = next.written !== config?.written;
      config = next;
      behind = false;
      known = stillKnown(known, next);
      if (changed) follow();
    },
    behind() {
      behind = true;
    },
    onRegistration: sources.onRegistration,
    get leading() {
      return lead.leading;
    },
    stop: lead.stop,
  };
}

/** A Redis that comes back empty takes nothing away from pools that are still there. */
function stillKnown(known: Discovered, { written, discovered }: DiscoveryConfig): Discovered {
  const pools = new Set(written.pools.map(({ name }) => name));
  const kept = Object.entries(known).filter(([pool]) => pools.has(pool));
  return { ...Object.fromEntries(kept), ...discovered };
}
