// A random sequence of faults. The same seed gives the same sequence, whatever came before.
import type { FaultKind, PlannedFault, Role } from "./facts.ts";
import { SIZE } from "./settings.ts";

const FAULTS_MIN = 2;
const FAULTS_MAX = 5;
/** Of sequences in which one role is hit as often as it has targets, so that all monitors are away at once, say. */
const FOCUSED = 0.3;
/** The first begins no earlier: there is traffic by then. */
const FIRST_AT_MS = 200;
/** The last begins no later, so that most sequences have faults at the same time. */
const LAST_AT_MS = 2_200;
const LASTS_MIN_MS = 200;
const LASTS_MAX_MS = 2_500;
/** Draws for a target that has no fault at that time. */
const DRAWS_MAX = 50;

interface Row {
  role: Role;
  count: number;
  /** How often, in proportion to the others. */
  share: number;
  kinds: readonly FaultKind[];
}

const SERVICE_KINDS = ["kill", "restart", "freeze", "cut", "hold"] as const;

const ROWS: readonly Row[] = [
  { role: "backend", count: SIZE.backends, share: 8, kinds: ["kill", "freeze", "fail", "refuse"] },
  { role: "gateway", count: SIZE.gateways, share: 3, kinds: SERVICE_KINDS },
  { role: "scheduler", count: SIZE.schedulers, share: 3, kinds: SERVICE_KINDS },
  { role: "health-monitor", count: SIZE.monitors, share: 3, kinds: SERVICE_KINDS },
  { role: "redis", count: 1, share: 3, kinds: ["kill", "empty", "freeze"] },
];
const SHARES = ROWS.reduce((sum, { share }) => sum + share, 0);

export function planFaults(seed: number): PlannedFault[] {
  const random = seededRandom(seed);
  const between = (least: number, most: number) => least + Math.floor(random() * (most - least + 1));
  const count = between(FAULTS_MIN, FAULTS_MAX);
  const focus = random() < FOCUSED ? drawRow(random) : null;
  const hit = (row: Row) => faults.filter(({ role }) => role === row.role).length;
  const faults: PlannedFault[] = [];
  for (let draw = 0; faults.length < count && draw < DRAWS_MAX; draw++) {
    const row = focus !== null && hit(focus) < focus.count ? focus : drawRow(random);
    const { role, count: targets, kinds } = row;
    const fault: PlannedFault = {
      role,
      target: role === "redis" ? role : `${role}-${between(1, targets)}`,
      kind: kinds[between(0, kinds.length - 1)] as FaultKind,
      atMs: between(FIRST_AT_MS, LAST_AT_MS),
      lastsMs: between(LASTS_MIN_MS, LASTS_MAX_MS),
    };
    // One after the other on one target: what a killed process is frozen by is nobody's question.
    if (!faults.some(({ target }) => target === fault.target)) faults.push(fault);
  }
  return faults.sort((a, b) => a.atMs - b.atMs);
}

function drawRow(random: () => number): Row {
  let left = random() * SHARES;
  for (const row of ROWS) {
    left -= row.share;
    if (left < 0) return row;
  }
  return ROWS[0] as Row;
}

/** 0 to below 1 (mulberry32). */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export const described = ({ kind, target, atMs, lastsMs }: PlannedFault): string =>
  `${kind} ${target} at ${atMs} for ${lastsMs} ms`;
