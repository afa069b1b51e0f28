// What is said of a sequence: one line when all is well, all that is needed to find the cause when it is not.
import { allowances, check } from "./check.ts";
import { causedByMachine } from "./check-log.ts";
import type { Cluster } from "./cluster.ts";
import type { Facts, Fault, Violation } from "./facts.ts";
import { described } from "./plan.ts";

/** Of each service, and of each rule's violations. */
const SHOWN_LOG_LINES = 25;
const SHOWN_VIOLATIONS = 12;
/** Entries of the pool's log. */
const SHOWN_ENTRIES = 40;

export interface Verdict {
  seed: number;
  facts: Facts;
  violations: Violation[];
  tookMs: number;
}

export const verdictOn = (seed: number, facts: Facts, tookMs: number): Verdict => ({
  ...{ seed, facts, tookMs },
  violations: check(facts),
});

export function progressLine({ seed, facts, violations, tookMs }: Verdict, place: string): string {
  const faults = facts.faults.map(({ kind, target }) => `${kind} ${target}`).join(", ");
  const excused = Object.entries(allowances(facts)).map(([why, count]) => `${why} ${count}`);
  const machine = causedByMachine(facts);
  if (machine > 0) excused.push(`machine stalled ${machine}`);
  const result =
    violations.length === 0 ? "ok" : `FAILED: ${[...new Set(violations.map(({ rule }) => rule))].join("; ")}`;
  return `${place} seed ${seed}: ${faults} · ${facts.requests.length} requests${excused.length > 0 ? ` (${excused.join(", ")})` : ""}, returned after ${facts.returnedAfterMs ?? "–"} ms, zero after ${facts.zeroAfterMs ?? "–"} ms · ${tookMs} ms · ${result}`;
}

export function violationReport({ seed, facts, violations }: Verdict, cluster: Cluster): string {
  const startMs = Math.min(...facts.faults.map(({ fromMs, atMs }) => fromMs - atMs));
  const lines = [
    `seed ${seed}, began at ${startMs}, whole again after ${facts.healedMs - startMs} ms; replay: npm run test:faults -- --only ${seed}`,
  ];
  for (const fault of facts.faults) lines.push(`  fault: ${described(fault)}; ${actual(fault, startMs)}`);
  for (const [rule, all] of Map.groupBy(violations, ({ rule }) => rule)) {
    lines.push(`  violated: ${rule} (${all.length})`);
    for (const { what } of all.slice(0, SHOWN_VIOLATIONS)) lines.push(`    ${relative(what, startMs)}`);
  }
  for (const [i, { events, endedMs }] of facts.lives.entries()) {
    lines.push(`  log of life ${i + 1}${endedMs === null ? "" : `, lost at +${endedMs - startMs}`}:`);
    for (const { event } of events.slice(-SHOWN_ENTRIES)) {
      const { version, atMs, type, ...what } = event;
      lines.push(`    +${atMs - startMs} ${version} ${type} ${JSON.stringify(what)}`);
    }
  }
  for (const { fromMs, untilMs } of facts.stalls)
    lines.push(`  machine stalled: +${fromMs - startMs} for ${untilMs - fromMs} ms`);
  for (const [id, { process }] of cluster.services) {
    lines.push(`  log of ${id}:`);
    for (const line of process.log().slice(-SHOWN_LOG_LINES)) lines.push(`    ${brief(line, startMs)}`);
  }
  return lines.join("\n");
}

const actual = ({ fromMs, untilMs }: Fault, startMs: number) =>
  `was from +${fromMs - startMs} to +${untilMs - startMs}`;

/** Times in text, as distances from the start of the sequence. */
const relative = (text: string, startMs: number): string =>
  text.replace(/\b(at|from) (\d{13})\b/g, (_, word, ms) => `${word} +${Number(ms) - startMs}`);

const SAID_ELSEWHERE = new Set(["time", "pid", "hostname", "role", "id", "level"]);

function brief(line: string, startMs: number): string {
  try {
    const { time, level, msg, ...rest } = JSON.parse(line) as Record<string, unknown>;
    const more = Object.fromEntries(Object.entries(rest).filter(([name]) => !SAID_ELSEWHERE.has(name)));
    return `+${new Date(time as string).getTime() - startMs} ${level} ${msg} ${JSON.stringify(more)}`;
  } catch {
    return line;
  }
}
