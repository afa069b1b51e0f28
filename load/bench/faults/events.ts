// How long after a change of health every gateway knows it: with pub/sub, and without.
import { setTimeout as sleep } from "node:timers/promises";
import type { PoolDocument } from "@evenkeel/core/config/schema.ts";
import { freePort } from "../../../libs/cli/supervisor/ports.ts";
import { createClient } from "../../../test/support/load.ts";
import { openNursery, redisExecutable } from "../../../test/support/redis-process.ts";
import type { FaultyBackend } from "./backends.ts";
import { atMost, type Buckets, bucketsOf, countOf, since } from "./histogram.ts";
import { type Lateness, watchLateness } from "./lateness.ts";
import { type Passing, startRelay } from "./relay.ts";
import { openWorld, PER_SECOND, pathOf, type World } from "./world.ts";

const SEEN = "evenkeel_gateway_health_seen_seconds";
/** A backend whose probes begin to fail leaves with the first one, and returns with the first good one, at any time. */
const HASTY: Partial<PoolDocument> = {
  health: { protocol: "http", path: "/healthz", intervalMs: 200, timeoutMs: 200, rise: 1, fall: 1 },
  eject: { maxMs: 100, statuses: ["500-599"] },
  ejectMs: 100,
};
/** Half of them, so that it never is too few for the others. */
const CHANGING = 4;
/** For the last probe of the last change, and for the gateways to know of it. */
const AFTER_MS = 2_500;

export interface EventsCase {
  passing: Passing;
  perSecond: number;
  durationMs: number;
  /** Between two changes. Where gateways only read once a second, so long that each backend rests for longer than that. */
  stepMs: number;
  /** All gateways must know within this. */
  bound: { share: number; seconds: number };
}

export const EVENT_CASES: Record<string, EventsCase & { title: string }> = {
  events: {
    title: "works",
    passing: "open",
    perSecond: PER_SECOND,
    durationMs: 30_000,
    stepMs: 100,
    bound: { share: 0.99, seconds: 0.02 },
  },
  "events-idle": {
    title: "works",
    passing: "open",
    perSecond: 0,
    durationMs: 12_000,
    stepMs: 100,
    bound: { share: 0.99, seconds: 0.02 },
  },
  "events-lost": {
    title: "messages lost, connections stand",
    passing: "silent",
    perSecond: PER_SECOND,
    durationMs: 12_000,
    stepMs: 100,
    bound: { share: 1, seconds: 1.2 },
  },
  "events-lost-idle": {
    title: "messages lost, connections stand",
    passing: "silent",
    perSecond: 0,
    durationMs: 18_000,
    stepMs: 400,
    bound: { share: 1, seconds: 1.2 },
  },
  "events-cut-idle": {
    title: "connections cut, new ones too",
    passing: "cut",
    perSecond: 0,
    durationMs: 18_000,
    stepMs: 400,
    bound: { share: 1, seconds: 1.2 },
  },
};

export interface EventsRow {
  case: EventsCase & { title: string };
  byEvent: Buckets;
  byRead: Buckets;
  all: Buckets;
  late: Lateness;
}

type Seen = Omit<EventsRow, "case" | "late">;

export interface EventsOptions {
  quick: boolean;
  progress(line: string): void;
  log(text: string): void;
}

/** @throws where no redis-server is installed */
export async function measureEvents(
  names: readonly string[],
  { quick, progress, log }: EventsOptions,
): Promise<EventsRow[]> {
  if (redisExecutable === null)
    throw new Error("this part needs a redis-server or valkey-server on the PATH");
  progress("events: starting the cluster, with a relay before its Redis");
  const nursery = await openNursery();
  const redis = await nursery.start(await freePort(), "--save", "");
  const relay = await startRelay(redis.port);
  const rows: EventsRow[] = [];
  try {
    const world = await openWorld({ redisUrl: relay.url, pool: HASTY });
    try {
      for (const name of names) {
        const one = EVENT_CASES[name] as EventsCase & { title: string };
        progress(`events: pub/sub ${one.title}, ${one.perSecond} GET/s`);
        world.clients.ask(pathOf("usual"), one.perSecond);
        relay.pass(one.passing);
        rows.push({
          case: one,
          ...(await changes(world, one.stepMs, quick ? one.durationMs / 3 : one.durationMs)),
        });
        relay.pass("open");
      }
    } finally {
      log(world.cluster.log());
      await world.stop();
    }
  } finally {
    await relay.stop();
    await nursery.stop();
  }
  return rows;
}

/** Backends leave and return one after the other, for so long. */
async function changes(world: World, stepMs: number, durationMs: number): Promise<Omit<EventsRow, "case">> {
  const lateness = watchLateness();
  const before = await histograms(world);
  const untilMs = performance.now() + durationMs;
  const ill = new Set<FaultyBackend>();
  for (let turn = 0; performance.now() < untilMs; turn += 1) {
    const backend = world.backends[turn % CHANGING] as FaultyBackend;
    await backend.behave(ill.has(backend) ? "well" : "unwell");
    if (!ill.delete(backend)) ill.add(backend);
    await sleep(stepMs);
  }
  for (const backend of ill) await backend.behave("well");
  await sleep(AFTER_MS);
  const after = await histograms(world);
  return {
    byEvent: since(after.byEvent, before.byEvent),
    byRead: since(after.byRead, before.byRead),
    all: since(after.all, before.all),
    late: lateness(),
  };
}

async function histograms({ cluster }: World): Promise<Seen> {
  const client = createClient();
  const answers = await Promise.all(
    cluster.gateways.map(({ adminUrl }) => client.get(`${adminUrl}/metrics`)),
  );
  client.close();
  const texts = answers.map(({ body }) => body);
  return {
    byEvent: bucketsOf(texts, SEEN, 'by="event"'),
    byRead: bucketsOf(texts, SEEN, 'by="read"'),
    all: bucketsOf(texts, SEEN),
  };
}

export const holds = ({ case: { bound }, all }: EventsRow): boolean =>
  countOf(all) > 0 && atMost(all, bound.share) <= bound.seconds;
