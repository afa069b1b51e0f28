// One kind of fault, from steady load before it to steady load after it, and what was seen of it.
import { setTimeout as sleep } from "node:timers/promises";
import type { FaultyBackend } from "./backends.ts";
import type { Kind, KindResult } from "./kind.ts";
import { type Lateness, watchLateness } from "./lateness.ts";
import { type Answered, dueWithin, failed, failuresInWords, percentileMs, shareOf } from "./records.ts";
import { type HealthChange, type Watch, watch } from "./watch.ts";
import { PER_SECOND, pathOf, type World } from "./world.ts";

const BEFORE_MS = 2_500;
const QUICK_BEFORE_MS = 1_000;
/** Gateways are asked closely from so long before a fault to so long after it. */
const CLOSE_BEFORE_MS = 300;
const CLOSE_AFTER_MS = 4_500;
/** What is not back by then is reported so. */
export const BACK_MAX_MS = 20_000;
const BACK_POLL_MS = 20;
/** For answers that are on their way. */
const AFTER_MS = 700;

export async function runKind(
  world: World,
  kind: Kind,
  { quick, progress }: { quick: boolean; progress(line: string): void },
): Promise<KindResult> {
  const [beforeMs, lastsMs] = quick ? [QUICK_BEFORE_MS, kind.quickMs] : [BEFORE_MS, kind.faultMs];
  const backend = world.backends[kind.backend - 1] as FaultyBackend;
  const watching = watch(world, backend);
  try {
    progress(`${kind.title}: load before it`);
    world.clients.ask(pathOf(kind.route), PER_SECOND);
    await sleep(beforeMs - CLOSE_BEFORE_MS);
    watching.closely(true);
    await sleep(CLOSE_BEFORE_MS);
    await world.clients.take();
    await sleep(beforeMs);

    const held = watching.held();
    const lateness = watchLateness();
    const faultMs = await kind.inflict(backend);
    progress(`${kind.title}: ${backend.id} has it for ${lastsMs / 1_000} s`);
    await sleep(Math.min(CLOSE_AFTER_MS, lastsMs));
    watching.closely(false);
    await sleep(Math.max(0, lastsMs - CLOSE_AFTER_MS));
    watching.closely(true);
    const late = lateness();
    const wasOut = isOut(watching, backend);
    const liftedMs = await kind.lift(backend);
    progress(`${kind.title}: lifted, waiting for it to be back`);
    await untilBack(watching, backend, liftedMs);
    await sleep(AFTER_MS);
    const answers = await world.clients.take();
    return resultOf({ kind, backend, watching, held, faultMs, liftedMs, wasOut, answers, late });
  } finally {
    await watching.stop();
  }
}

const isOut = (watching: Watch, { id }: FaultyBackend): boolean =>
  watching.pool()?.backends.find((one) => one.id === id)?.health === "unhealthy";

async function untilBack(watching: Watch, backend: FaultyBackend, liftedMs: number): Promise<void> {
  const deadlineMs = performance.now() + BACK_MAX_MS;
  const back = () => !isOut(watching, backend) && watching.picked.some(({ atMs }) => atMs > liftedMs);
  while (!back() && performance.now() < deadlineMs) await sleep(BACK_POLL_MS);
}

interface Seen {
  kind: Kind;
  backend: FaultyBackend;
  watching: Pick<Watch, "picked" | "changes">;
  /** Requests under way to it when it began. */
  held: number;
  faultMs: number;
  liftedMs: number;
  wasOut: boolean;
  late: Lateness;
  answers: readonly Answered[];
}

export function resultOf(seen: Seen): KindResult {
  const { backend, watching, faultMs, liftedMs, wasOut, answers, late } = seen;
  const met = watching.picked.filter(({ atMs }) => atMs > faultMs && atMs < liftedMs);
  const changes = watching.changes.filter((change) => change.backend === backend.id);
  const left = changes.find(({ health, atMs }) => health === "unhealthy" && atMs >= faultMs - 1);
  const returned = changes.find(({ health, atMs }) => health === "healthy" && atMs >= liftedMs);
  const next = watching.picked.find(({ atMs }) => atMs > liftedMs);
  const before = dueWithin(answers, 0, faultMs);
  const during = dueWithin(answers, faultMs, liftedMs);
  const lastMs = met.at(-1)?.atMs ?? null;
  const failureMs = firstFailureMs(seen, met[0]?.atMs);
  return {
    requests: answers.length,
    failures: answers.filter(failed).length,
    failuresInWords: failuresInWords(answers),
    picks: met.reduce((sum, { count }) => sum + count, 0),
    lastPickMs: lastMs === null ? null : lastMs - faultMs,
    lastPickAfterFailureMs: lastMs === null || failureMs === null ? null : Math.max(0, lastMs - failureMs),
    outMs: left ? Math.max(0, left.atMs - faultMs) : null,
    outBy: left ? `${left.reason}: ${left.detail ?? "no detail"}` : "",
    outsMs: outs(changes, faultMs),
    healthyMs: wasOut ? (returned ? returned.atMs - liftedMs : null) : Number.NaN,
    firstPickMs: next ? next.atMs - liftedMs : null,
    p99Ms: { before: percentileMs(before, 0.99), during: percentileMs(during, 0.99) },
    share: { before: shareOf(before, backend.number), during: shareOf(during, backend.number) },
    late,
  };
}

/** What was under way when it began fails first, else the first pick. */
function firstFailureMs({ kind, held, faultMs }: Seen, firstPickMs: number | undefined): number | null {
  if (kind.failsAfterMs === null) return null;
  const metMs = held > 0 ? faultMs : firstPickMs;
  return metMs === undefined ? null : metMs + kind.failsAfterMs;
}

function outs(changes: readonly HealthChange[], fromMs: number): number[] {
  const lengths: number[] = [];
  let leftMs: number | null = null;
  for (const { health, atMs } of changes) {
    if (atMs < fromMs - 1) continue;
    if (health === "unhealthy") leftMs = atMs;
    else if (leftMs !== null) lengths.push(atMs - leftMs);
    if (health === "healthy") leftMs = null;
  }
  return lengths;
}
