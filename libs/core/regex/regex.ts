// Regular expressions whose cost is known before the first request: a pattern is compiled into a table, and a match
// reads one entry of it per character, whatever the pattern and whoever chose the text. Patterns whose table would be
// too large are refused when the configuration is checked.
import { ALPHABET, type CharacterSet, type Pattern, PatternFault, parsePattern } from "./parse.ts";
import { type Positions, positionsOf, START } from "./positions.ts";

/** Rows of the table. A few dozen are usual; each takes 2 bytes per kind of character. */
export const MAX_STATES = 512;

/** Takes time proportional to the length of the text. Characters beyond Latin-1 match nothing. */
export type Matcher = (text: string) => boolean;

/** Null where the pattern is sound. */
export const regexFault = (pattern: string): string | null => faultOf(() => compileRegex(pattern));

/**
 * Like `regexFault`, for patterns whose groups are wanted: those are left to the engine of the platform, which goes back
 * on failure, so no text may be readable in two ways.
 */
export const capturingFault = (pattern: string): string | null => faultOf(() => compileCapturing(pattern));

function faultOf(compile: () => unknown): string | null {
  try {
    compile();
    return null;
  } catch (error) {
    if (error instanceof PatternFault) return error.message;
    throw error;
  }
}

/** @throws PatternFault */
export function compileRegex(text: string): Matcher {
  const pattern = parsePattern(text);
  return matcherOf(buildTable(pattern, positionsOf(pattern.expression)), pattern.toEnd);
}

/**
 * Linear in the length of the text: each character fits one place of the pattern at most, so an attempt that fails
 * leaves only alternatives behind that fail at their first character.
 * @throws PatternFault
 */
export function compileCapturing(text: string): { regex: RegExp; groups: number } {
  const pattern = parsePattern(text);
  if (!pattern.fromStart) throw new PatternFault(null, "must begin with ^");
  if (positionsOf(pattern.expression).ambiguous) {
    const message =
      "can read a text in two ways; say what each part may not hold, such as ^/a/([^/]+)/(.*)$ in place of ^/a/(.*)/(.*)$";
    throw new PatternFault(null, message);
  }
  return { regex: new RegExp(text, "s"), groups: pattern.groups };
}

interface Table {
  /** Kind of a character, by its code: characters that the pattern never tells apart are of one kind. */
  kinds: Uint8Array;
  /** How many kinds. */
  width: number;
  /** State after a character: by state × width + kind. */
  next: Uint16Array;
  accepting: Uint8Array;
}

/** Nothing that follows can make it a match. */
const DEAD = 0;
const FIRST = 1;

function matcherOf({ kinds, width, next, accepting }: Table, toEnd: boolean): Matcher {
  return (text) => {
    let state = FIRST;
    for (let i = 0; i < text.length; i += 1) {
      if (!toEnd && accepting[state] === 1) return true;
      const code = text.charCodeAt(i);
      if (code >= ALPHABET) return false;
      state = next[state * width + (kinds[code] as number)] as number;
      if (state === DEAD) return false;
    }
    return accepting[state] === 1;
  };
}

/** States are the sets of places at which a reader of the text could be. */
function buildTable(pattern: Pattern, positions: Positions): Table {
  const { kinds, examples } = kindsOf(positions.sets.slice(START + 1));
  const states: number[][] = [[], [START]];
  const known = new Map([["0", FIRST]]);
  const rows: number[][] = [examples.map(() => DEAD)];
  for (let state = FIRST; state < states.length; state += 1) {
    const row: number[] = [];
    for (const code of examples) {
      const set = step(positions, states[state] as number[], code);
      if (!pattern.fromStart) set.add(START);
      row.push(set.size === 0 ? DEAD : stateOf(set, states, known));
    }
    rows.push(row);
  }
  return {
    kinds,
    width: examples.length,
    next: Uint16Array.from(rows.flat()),
    accepting: Uint8Array.from(states, (set) => Number(set.some((one) => positions.last.has(one)))),
  };
}

function step({ sets, follow }: Positions, state: readonly number[], code: number): Set<number> {
  const set = new Set<number>();
  for (const position of state) {
    for (const next of follow[position] as ReadonlySet<number>) {
      if ((sets[next] as CharacterSet)[code] === 1) set.add(next);
    }
  }
  return set;
}

function stateOf(set: ReadonlySet<number>, states: number[][], known: Map<string, number>): number {
  const sorted = [...set].sort((a, b) => a - b);
  const key = sorted.join();
  let state = known.get(key);
  if (state === undefined) {
    if (states.length > MAX_STATES) {
      const message = `is too complex: its automaton has more than ${MAX_STATES} states; begin it with ^, or use smaller counts behind parts that fit many texts`;
      throw new PatternFault(null, message);
    }
    state = states.length;
    states.push(sorted);
    known.set(key, state);
  }
  return state;
}

/** @returns the kind of each character, and one character of each kind */
function kindsOf(sets: readonly CharacterSet[]): { kinds: Uint8Array; examples: number[] } {
  const distinct = [...new Map(sets.map((set) => [set.join(""), set])).values()];
  const kinds = new Uint8Array(ALPHABET);
  const examples: number[] = [];
  const known = new Map<string, number>();
  for (let code = 0; code < ALPHABET; code += 1) {
    const membership = distinct.map((set) => set[code]).join("");
    let kind = known.get(membership);
    if (kind === undefined) {
      kind = examples.length;
      known.set(membership, kind);
      examples.push(code);
    }
    kinds[code] = kind;
  }
  return { kinds, examples };
}
