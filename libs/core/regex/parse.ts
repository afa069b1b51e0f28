// The language of patterns in a configuration: the part of JavaScript's regular expressions that an automaton can
// decide in one pass. No backreferences, no look-around, no flags; `^` and `$` only around the whole pattern.

/** Characters; every one of them is looked at a few times. */
export const MAX_PATTERN_LENGTH = 1_024;
/** Groups inside each other: the parser calls itself. */
const MAX_DEPTH = 32;
/** The highest count of a repetition, such as the 100 in {1,100}. */
const MAX_COUNT = 256;
/** Latin-1: what a header may hold. Paths are ASCII. */
export const ALPHABET = 256;

/** One place per character, 1 for those that are meant. */
export type CharacterSet = Uint8Array;

export type Expression =
  | { kind: "one"; set: CharacterSet }
  | { kind: "sequence"; parts: Expression[] }
  | { kind: "choice"; parts: Expression[] }
  | { kind: "repeat"; part: Expression; min: number; max: number };

export interface Pattern {
  expression: Expression;
  /** Begins with `^`. */
  fromStart: boolean;
  /** Ends with `$`. */
  toEnd: boolean;
  /** Capturing groups. */
  groups: number;
}

/** What is wrong with a pattern, and where. */
export class PatternFault extends Error {
  /** @param at position of the character, from 0; null: the pattern as a whole */
  constructor(at: number | null, message: string) {
    super(at === null ? message : `at character ${at + 1}: ${message}`);
  }
}

export function parsePattern(text: string): Pattern {
  if (text === "") throw new PatternFault(null, "is empty, so it would match everything");
  if (text.length > MAX_PATTERN_LENGTH) {
    throw new PatternFault(null, `must have at most ${MAX_PATTERN_LENGTH} characters`);
  }
  const fromStart = text.startsWith("^");
  const toEnd = /(?:^|[^\\])(?:\\\\)*\$$/.test(text);
  const parser = new Parser(text, fromStart ? 1 : 0, toEnd ? text.length - 1 : text.length);
  const expression = parser.whole();
  if ((fromStart || toEnd) && expression.kind === "choice") {
    throw new PatternFault(null, "put the alternatives into a group, such as ^(?:a|b)$: ^ and $ are for all");
  }
  return { expression, fromStart, toEnd, groups: parser.groups };
}

/** Behind a backslash. */
const CLASSES: Readonly<Record<string, CharacterSet>> = {
  d: setOf(/\d/),
  D: setOf(/\D/),
  w: setOf(/\w/),
  W: setOf(/\W/),
  s: setOf(/\s/),
  S: setOf(/\S/),
};

function setOf(pattern: RegExp): CharacterSet {
  return Uint8Array.from({ length: ALPHABET }, (_, code) => Number(pattern.test(String.fromCharCode(code))));
}

const LETTER_OR_DIGIT = /[A-Za-z0-9]/;

class Parser {
  readonly #text: string;
  readonly #end: number;
  #at: number;
  groups = 0;

  constructor(text: string, start: number, end: number) {
    this.#text = text;
    this.#at = start;
    this.#end = end;
  }

  whole(): Expression {
    const expression = this.#choice(0);
    if (this.#at < this.#end) throw this.#fault("this ) closes no group; write \\) for the character");
    return expression;
  }

  #fault(message: string, at = this.#at): PatternFault {
    return new PatternFault(at, message);
  }

  #peek(): string {
    return this.#at < this.#end ? (this.#text[this.#at] as string) : "";
  }

  #choice(depth: number): Expression {
    const parts = [this.#sequence(depth)];
    while (this.#peek() === "|") {
      this.#at += 1;
      parts.push(this.#sequence(depth));
    }
    return parts.length === 1 ? (parts[0] as Expression) : { kind: "choice", parts };
  }

  #sequence(depth: number): Expression {
    const parts: Expression[] = [];
    for (let next = this.#peek(); next !== "" && next !== "|" && next !== ")"; next = this.#peek()) {
      parts.push(this.#repeated(this.#atom(next, depth)));
    }
    if (parts.length === 0)
      throw this.#fault("something is missing here; to allow nothing, write ? behind it");
    return parts.length === 1 ? (parts[0] as Expression) : { kind: "sequence", parts };
  }

  #atom(first: string, depth: number): Expression {
    const at = this.#at;
    this.#at += 1;
    switch (first) {
      case "(":
        return this.#group(at, depth);
      case "[":
        return { kind: "one", set: this.#class(at) };
      case ".":
        return { kind: "one", set: new Uint8Array(ALPHABET).fill(1) };
      case "\\":
        return { kind: "one", set: this.#escaped(at) };
      case "^":
      case "$":
        throw this.#fault(
          `${first} may only stand at the ${first === "^" ? "start" : "end"} of the pattern`,
          at,
        );
      case "*":
      case "+":
      case "?":
        throw this.#fault(`there is nothing that ${first} could repeat; a repetition is not repeated`, at);
      case "{":
      case "}":
      case "]":
        throw this.#fault(`write \\${first} for the character`, at);
      default:
        return { kind: "one", set: this.#single(first, at) };
    }
  }

  #group(at: number, depth: number): Expression {
    if (depth === MAX_DEPTH) throw this.#fault(`groups are nested more than ${MAX_DEPTH} deep`, at);
    if (this.#peek() === "?") {
      if (!this.#text.startsWith("?:", this.#at)) {
        throw this.#fault(
          "of groups only (…) and (?:…) are understood: no look-around, no names, no flags",
          at,
        );
      }
      this.#at += 2;
    } else this.groups += 1;
    const inside = this.#choice(depth + 1);
    if (this.#peek() !== ")") throw this.#fault("this group is not closed", at);
    this.#at += 1;
    return inside;
  }

  /** `*`, `+`, `?`, {n}, {n,} and {n,m}, also lazy ones: what matches is the same. */
  #repeated(part: Expression): Expression {
    const at = this.#at;
    const next = this.#peek();
    const counts = next === "{" ? this.#counts() : SHORT_COUNTS[next];
    if (counts === undefined) return part;
    if (next !== "{") this.#at += 1;
    const [min, max] = counts;
    if (max < min || max === 0) throw this.#fault("this repetition allows no number", at);
    if (this.#peek() === "?") this.#at += 1;
    return { kind: "repeat", part, min, max };
  }

  #counts(): [number, number] {
    const found = /^\{(\d{1,4})(?:(,)(\d{1,4})?)?\}/.exec(this.#text.slice(this.#at, this.#end));
    if (!found) throw this.#fault("{ begins a repetition such as {2} or {1,3}; write \\{ for the character");
    const min = Number(found[1]);
    const max = found[3] === undefined ? (found[2] === undefined ? min : Infinity) : Number(found[3]);
    if (min > MAX_COUNT || (max !== Infinity && max > MAX_COUNT)) {
      throw this.#fault(`counts go up to ${MAX_COUNT}`);
    }
    this.#at += found[0].length;
    return [min, max];
  }

  #escaped(at: number): CharacterSet {
    const next = this.#peek();
    this.#at += 1;
    if (next === "") throw this.#fault("nothing follows this backslash", at);
    const known = CLASSES[next];
    if (known) return known;
    if (LETTER_OR_DIGIT.test(next)) {
      throw this.#fault(`\\${next} is not understood: of these there are \\d \\D \\w \\W \\s \\S`, at);
    }
    return this.#single(next, at);
  }

  #single(character: string, at: number): CharacterSet {
    const set = new Uint8Array(ALPHABET);
    set[this.#code(character, at)] = 1;
    return set;
  }

  #code(character: string, at: number): number {
    const code = character.charCodeAt(0);
    if (code < ALPHABET) return code;
    throw this.#fault("a request cannot hold this character; percent-encode it", at);
  }

  #class(at: number): CharacterSet {
    const negated = this.#peek() === "^";
    if (negated) this.#at += 1;
    const set = new Uint8Array(ALPHABET);
    while (this.#peek() !== "]") {
      if (this.#peek() === "") throw this.#fault("this [ is not closed", at);
      this.#member(set);
    }
    this.#at += 1;
    if (!set.includes(1)) throw this.#fault("this class is empty", at);
    return negated ? set.map((member) => 1 - member) : set;
  }

  /** A character, a class such as \d, or a range. */
  #member(set: CharacterSet): void {
    const at = this.#at;
    const from = this.#bound();
    const isRange = this.#peek() === "-" && this.#text[this.#at + 1] !== "]" && this.#at + 1 < this.#end;
    if (!isRange) {
      for (let code = 0; code < ALPHABET; code += 1) if (from[code] === 1) set[code] = 1;
      return;
    }
    this.#at += 1;
    const to = this.#bound();
    const [first, last] = [from.indexOf(1), to.indexOf(1)];
    if (from.lastIndexOf(1) !== first || to.lastIndexOf(1) !== last) {
      throw this.#fault("a range goes from one character to another; put - last for the character", at);
    }
    if (last < first) throw this.#fault("this range ends before it begins", at);
    set.fill(1, first, last + 1);
  }

  #bound(): CharacterSet {
    const at = this.#at;
    const character = this.#peek();
    this.#at += 1;
    return character === "\\" ? this.#escaped(at) : this.#single(character, at);
  }
}

const SHORT_COUNTS: Readonly<Record<string, [number, number]>> = {
  "*": [0, Infinity],
  "+": [1, Infinity],
  "?": [0, 1],
};
