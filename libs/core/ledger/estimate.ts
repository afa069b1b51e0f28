// What is learned about a backend from what is reported of it, and how that enters its load. State is whole numbers,
// and arithmetic is + − × ÷ √ min max floor in a fixed order, so that Lua computes the same to the bit.
//
// A backend's time is the mean of its own recent answers and a little of the pool's; it counts as slower or faster only
// where that is beyond doubt, so that equal backends tie. It does not jump to peaks: the count in flight reacts to a
// slow backend at once, and peaks turn noise into starvation (docs/decisions/0010).
import type { Criterion } from "../config/resolve-scheduling.ts";
import type { Policy } from "../config/schema-scheduling.ts";
import type { BackendFacts, Outcomes, PoolFacts } from "./ledger.ts";
import { BIAS_STEPS } from "./score.ts";

/** What is not confirmed for this long is forgotten, evenly over the time. */
const MEMORY_MS = 5_000;
/** Samples are kept in 1/1024, so that rounding down as they fade loses nothing that matters. */
const SAMPLE_STEPS = 1_024;
const SAMPLES_MAX = 1_024 * SAMPLE_STEPS;
/** Requests over which the pool's mean is taken. */
const NEUTRAL_SPAN = 1_024;
/** Every mean starts with this many answers of the pool's: one slow answer alone says little. */
const PRIOR_SAMPLES = 2;
/** A difference counts only beyond this many standard errors (of exponential times: 1 ÷ √samples). */
const DOUBT = 2;
/** A failure counts as this many times the pool's mean: failing fast must not look fast. */
const PENALTY = 8;
/** No answer, and no backend, counts as slower than this many times the pool's mean. */
const SLOWEST = 16;
/** No backend counts as more than twice as fast as its pool: the fast ones make up most of the mean already. */
const FASTEST = 1 / 2;
/** A reported metric is believed this long. */
const REPORT_TTL_MS = 10_000;
const REPORTS_SPAN = 64;
/** No criterion counts for more than this many times its scale. */
const CRITERION_MAX = 100;

export interface Learned {
  /** Mean time to first byte, failures charged; ns, whole. 0: nothing known. */
  latencyNs: number;
  /** How many requests that mean stands for, in 1/1024; fades with time. */
  samples: number;
  /** Share of failures, in millionths, whole. */
  errorPpm: number;
  observedMs: number;
  metrics: ReadonlyMap<string, Report>;
}

interface Report {
  value: number;
  atMs: number;
  /** How many reports it stands for; 1 for a backend's own. */
  reports: number;
}

export const nothingLearned = (): Learned => ({
  latencyNs: 0,
  samples: 0,
  errorPpm: 0,
  observedMs: 0,
  metrics: new Map(),
});

/** Policies whose load depends on what was learned, so that it is worked out anew as reports come and time passes. */
export const isJudged = (policy: Policy): boolean => policy === "least-time" || policy === "criteria";

/** What a backend is held against: the mean over the pool's requests, `latencyNs` of the last `requests` of them. */
export interface Neutral {
  latencyNs: number;
  requests: number;
  metrics: ReadonlyMap<string, Report>;
}

export const noNeutral = (): Neutral => ({ latencyNs: 0, requests: 0, metrics: new Map() });

interface After {
  learned: Learned;
  neutral: Neutral;
}

/** Until the pool's first success there is nothing to hold anyone against, so nothing is learned. */
export function learn(before: Learned, known: Neutral, outcomes: Outcomes, nowMs: number): After {
  const { success, failure } = outcomes;
  const neutral = learnNeutral(known, outcomes);
  if (success + failure === 0 || neutral.latencyNs === 0) return { learned: before, neutral };
  const sum = success * counted(outcomes, neutral) + failure * (PENALTY * neutral.latencyNs);
  const kept = before.samples * fresh(nowMs - before.observedMs);
  const all = kept + (success + failure) * SAMPLE_STEPS;
  const learned = {
    ...before,
    latencyNs: Math.floor((kept * before.latencyNs + SAMPLE_STEPS * sum) / all + 0.5),
    errorPpm: Math.floor((kept * before.errorPpm + SAMPLE_STEPS * failure * 1e6) / all + 0.5),
    samples: Math.min(SAMPLES_MAX, Math.floor(all)),
    observedMs: nowMs,
  };
  return { learned, neutral };
}

function learnNeutral(neutral: Neutral, outcomes: Outcomes): Neutral {
  const { success } = outcomes;
  if (success === 0) return neutral;
  const requests = Math.min(NEUTRAL_SPAN, neutral.requests + success);
  const step = ((counted(outcomes, neutral) - neutral.latencyNs) * success) / Math.max(success, requests);
  return { ...neutral, latencyNs: Math.max(1, Math.floor(neutral.latencyNs + step + 0.5)), requests };
}

const counted = ({ latencyUs }: Outcomes, { latencyNs }: Neutral): number =>
  latencyNs === 0 ? latencyUs * 1_000 : Math.min(latencyUs * 1_000, SLOWEST * latencyNs);

/** How much of what was known then still counts. What lies ahead, by a clock since set back, counts as past. */
const fresh = (ageMs: number): number => Math.max(0, MEMORY_MS - Math.abs(ageMs)) / MEMORY_MS;

export function learnMetrics(
  before: Learned,
  neutral: Neutral,
  metrics: Readonly<Record<string, number>>,
  nowMs: number,
): After {
  const own = recent(before.metrics, nowMs);
  const all = recent(neutral.metrics, nowMs);
  for (const [name, value] of Object.entries(metrics)) {
    own.set(name, { value, atMs: nowMs, reports: 1 });
    const usual = all.get(name) ?? { value: 0, atMs: nowMs, reports: 0 };
    const mean = (usual.value * usual.reports + value) / (usual.reports + 1);
    all.set(name, { value: mean, atMs: nowMs, reports: Math.min(usual.reports + 1, REPORTS_SPAN) });
  }
  return { learned: { ...before, metrics: own }, neutral: { ...neutral, metrics: all } };
}

/** What nobody reports any more is forgotten. */
const recent = (metrics: ReadonlyMap<string, Report>, nowMs: number) =>
  new Map([...metrics].filter(([, { atMs }]) => Math.abs(nowMs - atMs) < REPORT_TTL_MS));

/** What was learned, as it enters the load: whole, in 1/1024. */
export function judge(
  pool: PoolFacts,
  backend: BackendFacts,
  learned: Learned,
  neutral: Neutral,
  nowMs: number,
): number {
  if (pool.policy === "least-time") return Math.floor(slowness(learned, neutral, nowMs) * BIAS_STEPS);
  let sum = 0;
  for (const criterion of pool.criteria) {
    const value = judgedValue(criterion, backend, learned, neutral, nowMs);
    if (value === null) continue;
    sum += Math.min(Math.max(0, value / criterion.scale), CRITERION_MAX) * criterion.weight;
  }
  return Math.floor(sum * BIAS_STEPS);
}

const samplesNow = ({ samples, observedMs }: Learned, nowMs: number): number =>
  (samples * fresh(nowMs - observedMs)) / SAMPLE_STEPS;

/** How many times slower than the pool's mean, as far as that is beyond doubt; 1 otherwise. */
function slowness(learned: Learned, { latencyNs: usual }: Neutral, nowMs: number): number {
  const samples = samplesNow(learned, nowMs);
  if (samples <= 0 || usual === 0) return 1;
  const prior = PRIOR_SAMPLES * usual;
  const ratio = (samples * learned.latencyNs + prior) / (samples * usual + prior);
  const margin = 1 + DOUBT / Math.sqrt(samples);
  if (ratio <= margin && ratio * margin >= 1) return 1;
  return Math.max(FASTEST, Math.min(SLOWEST, ratio));
}

/** Null for those that are not learned: the count is live, the distance depends on the request. */
function judgedValue(
  { name }: Criterion,
  { cost }: BackendFacts,
  learned: Learned,
  neutral: Neutral,
  nowMs: number,
): number | null {
  switch (name) {
    case "connections":
    case "distance":
      return null;
    case "latency":
      return slowness(learned, neutral, nowMs);
    case "errors": {
      const samples = samplesNow(learned, nowMs);
      return (samples * learned.errorPpm) / ((samples + 1) * 1e6);
    }
    case "cost":
      return cost;
    default: {
      const own = learned.metrics.get(name);
      if (own && Math.abs(nowMs - own.atMs) < REPORT_TTL_MS) return own.value;
      return neutral.metrics.get(name)?.value ?? 0;
    }
  }
}
