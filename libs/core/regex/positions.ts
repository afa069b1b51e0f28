// A pattern as its positions: each place of it that takes one character, which of them can come first, which can follow
// which, and which can be last (Glushkov's construction). Repetitions with counts are written out.
import { type CharacterSet, type Expression, PatternFault } from "./parse.ts";

/** Places of a pattern, repetitions written out. Each may be followed by any other: the work grows with the square. */
export const MAX_POSITIONS = 512;

/** The place before the first character. */
export const START = 0;

export interface Positions {
  /** By position; that of START is never read. */
  sets: CharacterSet[];
  /** By position, START included. */
  follow: ReadonlySet<number>[];
  last: ReadonlySet<number>;
  /** There is a text that can be read in two ways: an engine that goes back on failure may take very long. */
  ambiguous: boolean;
}

/** What a part of a pattern looks like from outside. */
interface Part {
  first: number[];
  last: number[];
  /** It may also be left out. */
  nullable: boolean;
}

export function positionsOf(expression: Expression): Positions {
  const builder = new Builder();
  const whole = builder.part(expression);
  builder.join([START], whole.first);
  const last = new Set(whole.nullable ? [START, ...whole.last] : whole.last);
  const { sets, follow } = builder;
  return { sets, follow, last, ambiguous: builder.ambiguous || !isDeterministic(sets, follow) };
}

class Builder {
  readonly sets: CharacterSet[] = [new Uint8Array(0)];
  readonly follow: Set<number>[] = [new Set()];
  /** A part can be left out in two ways, so that two ways without a character join the same places. */
  ambiguous = false;

  part(expression: Expression): Part {
    switch (expression.kind) {
      case "one":
        return this.#one(expression.set);
      case "sequence":
        return expression.parts
          .map((inner) => () => this.part(inner))
          .reduce<Part | null>((before, next) => this.#after(before, next()), null) as Part;
      case "choice":
        return this.#choice(expression.parts.map((inner) => this.part(inner)));
      case "repeat":
        return this.#repeat(expression);
    }
  }

  #one(set: CharacterSet): Part {
    const position = this.sets.length;
    if (position > MAX_POSITIONS) {
      const message = `is too large: with its repetitions written out it has more than ${MAX_POSITIONS} places`;
      throw new PatternFault(null, message);
    }
    this.sets.push(set);
    this.follow.push(new Set());
    return { first: [position], last: [position], nullable: false };
  }

  join(from: readonly number[], to: readonly number[]): void {
    for (const one of from) {
      const follow = this.follow[one] as Set<number>;
      for (const next of to) follow.add(next);
    }
  }

  #after(before: Part | null, next: Part): Part {
    if (before === null) return next;
    this.join(before.last, next.first);
    return {
      first: before.nullable ? [...before.first, ...next.first] : before.first,
      last: next.nullable ? [...before.last, ...next.last] : next.last,
      nullable: before.nullable && next.nullable,
    };
  }

  #choice(parts: Part[]): Part {
    const nullable = parts.filter((part) => part.nullable).length;
    if (nullable > 1) this.ambiguous = true;
    return {
      first: parts.flatMap(({ first }) => first),
      last: parts.flatMap(({ last }) => last),
      nullable: nullable > 0,
    };
  }

  /** x{2,} as xxx*, x{2,4} as xx(x(x)?)? */
  #repeat({ part, min, max }: Extract<Expression, { kind: "repeat" }>): Part {
    let whole: Part | null = null;
    for (let i = 0; i < min; i += 1) whole = this.#after(whole, this.part(part));
    if (max === Infinity) whole = this.#after(whole, this.#star(part));
    else if (max > min) whole = this.#after(whole, this.#optional(part, max - min));
    return whole as Part;
  }

  #star(part: Expression): Part {
    const inner = this.part(part);
    if (inner.nullable) this.ambiguous = true;
    this.join(inner.last, inner.first);
    return { ...inner, nullable: true };
  }

  #optional(part: Expression, times: number): Part {
    const inner = this.part(part);
    if (inner.nullable) this.ambiguous = true;
    if (times === 1) return { ...inner, nullable: true };
    const rest = this.#optional(part, times - 1);
    return { ...this.#after(inner, rest), nullable: true };
  }
}

/** Whether the next character always says which place it is at. */
function isDeterministic(sets: CharacterSet[], follow: ReadonlySet<number>[]): boolean {
  return follow.every((next) => {
    const taken = new Uint8Array(256);
    for (const position of next) {
      const set = sets[position] as CharacterSet;
      for (let code = 0; code < set.length; code += 1) {
        if (set[code] === 0) continue;
        if (taken[code] === 1) return false;
        taken[code] = 1;
      }
    }
    return true;
  });
}
