import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_PATTERN_LENGTH } from "./parse.ts";
import { capturingFault, compileCapturing, compileRegex, regexFault } from "./regex.ts";

/** The longest path there is. */
const LONGEST = 8 * 1024;

/** Of some runs, so that a busy machine does not count. */
function fastestMs(run: () => void): number {
  let fastest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5; i += 1) {
    const startedMs = performance.now();
    run();
    fastest = Math.min(fastest, performance.now() - startedMs);
  }
  return fastest;
}

/** Patterns of every form, written from their parts. */
const patternOf = (alphabet: string): fc.Arbitrary<string> => {
  const single = fc.constantFrom(...alphabet, ".", "[ab]", "[^a]", "[a-c]", "\\d", "\\W", "[\\d-]", "\\.");
  const { whole } = fc.letrec<{ whole: string; part: string }>((tie) => ({
    part: fc.oneof(
      { maxDepth: 3 },
      single,
      tie("whole").map((inner) => `(${inner})`),
      tie("whole").map((inner) => `(?:${inner})`),
      fc
        .tuple(tie("whole"), fc.constantFrom("*", "+", "?", "{2}", "{1,3}", "{0,2}", "{1,}", "*?"))
        .map(([inner, count]) => `(?:${inner})${count}`),
      fc.tuple(tie("whole"), tie("whole")).map(([a, b]) => `(?:${a}|${b})`),
    ),
    whole: fc
      .array(tie("part") as fc.Arbitrary<string>, { minLength: 1, maxLength: 3 })
      .map((p) => p.join("")),
  }));
  return fc
    .tuple(fc.constantFrom("", "^"), whole, fc.constantFrom("", "$"))
    .map(([start, inner, end]) => `${start}${inner}${end}`);
};

const text = fc.string({ unit: fc.constantFrom("a", "b", "c", "1", "-", ".", "/"), maxLength: 12 });

describe("a pattern", () => {
  it("matches what the engine of the platform matches", () => {
    fc.assert(
      fc.property(patternOf("abc"), fc.array(text, { minLength: 8, maxLength: 8 }), (pattern, texts) => {
        fc.pre(regexFault(pattern) === null);
        const own = compileRegex(pattern);
        const native = new RegExp(pattern, "s");
        for (const one of texts) expect(own(one), `${pattern} on ${one}`).toBe(native.test(one));
      }),
      { seed: 4, numRuns: 500 },
    );
  });

  it.each([
    ["^/v[0-9]+/items", "/v12/items/7", true],
    ["^/v[0-9]+/items", "/v/items", false],
    ["\\.(?:jpg|png)$", "/a/b.png", true],
    ["\\.(?:jpg|png)$", "/a/b.png/c", false],
    ["^/(?:a|b)/?$", "/b/", true],
    ["\\$", "a$", true],
    ["\\\\$", "a\\", true],
    ["[\\w.-]+@", "a.b-c@", true],
    ["é", "caf\xe9", true],
    ["^a.c$", "a\xffc", true],
    ["^a", "\u0141a", false],
  ])("%s on %j: %s", (pattern, subject, expected) => {
    expect(compileRegex(pattern)(subject)).toBe(expected);
  });

  it.each([
    ["", "is empty"],
    ["(a)\\1", "at character 4: \\1 is not understood"],
    ["(?=a)b", "at character 1: of groups only"],
    ["(?<!a)b", "of groups only"],
    ["(?<n>a)", "of groups only"],
    ["(?i)a", "of groups only"],
    ["a\\b", "at character 2: \\b is not understood"],
    ["a(b", "at character 2: this group is not closed"],
    ["a)b", "at character 2: this ) closes no group"],
    ["a**", "at character 3: there is nothing that * could repeat"],
    ["+a", "at character 1: there is nothing"],
    ["a|*", "at character 3: there is nothing"],
    ["a||b", "at character 3: something is missing"],
    ["()", "something is missing"],
    ["[a", "at character 1: this [ is not closed"],
    ["[]", "this class is empty"],
    ["[b-a]", "at character 2: this range ends before it begins"],
    ["[a-\\d]", "a range goes from one character"],
    ["a{2,1}", "allows no number"],
    ["a{0}", "allows no number"],
    ["a{,3}", "begins a repetition"],
    ["a{999}", "counts go up to 256"],
    ["a]", "write \\] for the character"],
    ["a^b", "^ may only stand at the start"],
    ["a$b", "$ may only stand at the end"],
    ["^a|b$", "put the alternatives into a group"],
    ["€", "percent-encode it"],
    ["a\\", "nothing follows"],
    [`${"(".repeat(40)}a${")".repeat(40)}`, "nested more than 32 deep"],
    ["((a{200}){200}){200}", "too large"],
    ["a.{200}$", "too complex"],
    ["(a|b)*a(a|b){12}", "too complex"],
  ])("%j is refused: %s", (pattern, reason) => {
    expect(regexFault(pattern)).toContain(reason);
  });

  it("that is too long is refused", () => {
    expect(regexFault("a".repeat(MAX_PATTERN_LENGTH + 1))).toContain("at most 1024 characters");
  });

  // Each of these takes an engine that goes back on failure quadratic to exponential time.
  it.each([
    ["^(a+)+$", "a"],
    ["^(a|a)*$", "a"],
    ["^(a|aa)+$", "a"],
    ["(.*)*x", "a"],
    ["^(?:a?){30}a{30}$", "a"],
    [".*.*.*.*=", "a"],
    ["a+b", "a"],
    ["^([a-z]+)*\\d$", "a"],
    ["^(([a-z])+.)+[A-Z]([a-z])+$", "a"],
    ["(x+x+)+y", "x"],
  ])("%s takes linear time on the longest path", (pattern, unit) => {
    const matches = compileRegex(pattern);
    const subject = `${unit.repeat(LONGEST - 1)}!`;
    // One read of a table per character: about 0.02 ms. Quadratic time would be more than 50 ms.
    expect(fastestMs(() => matches(subject))).toBeLessThan(10);
  });

  it("of the largest size is checked in bounded time", () => {
    const startedMs = performance.now();
    for (const pattern of ["(a|b)*a(a|b){200}", `${"(?:a|b)*".repeat(60)}c`, "[a-z]*[0-9]*".repeat(80)]) {
      regexFault(pattern);
      capturingFault(pattern);
    }
    expect(performance.now() - startedMs).toBeLessThan(3_000);
  });
});

describe("a pattern whose groups are wanted", () => {
  it.each(["^/a/(.*)$", "^/([^/]+)/(.*)", "^/v([0-9]+)/items$", "^/(?:a|b)(c?)d", "^(/x){1,3}$"])(
    "%s is taken",
    (pattern) => {
      expect(capturingFault(pattern)).toBeNull();
    },
  );

  it.each([
    ["/a/(.*)", "must begin with ^"],
    ["^/a/(.*)/b$", "can read a text in two ways"],
    ["^(a*)*b", "two ways"],
    ["^(?:(?:a*|b*)c)*d", "two ways"],
    ["^(a?)*b", "two ways"],
    ["^(a+)+b", "two ways"],
    ["^(?:(?:ab)+)+c", "two ways"],
    ["^(?:a*)?b", "two ways"],
    ["^(a|a)*b", "two ways"],
    ["^(?:a{1,2}){1,9}b", "two ways"],
  ])("%s is refused: %s", (pattern, reason) => {
    expect(capturingFault(pattern)).toContain(reason);
  });

  it("never takes the engine of the platform more than linear time", () => {
    fc.assert(
      fc.property(
        patternOf("ab"),
        fc.constantFrom("a", "b", "ab", "aab", "abb", "1", "a1"),
        (pattern, unit) => {
          fc.pre(capturingFault(pattern) === null);
          const { regex } = compileCapturing(pattern);
          const subject = `${unit.repeat(LONGEST / unit.length - 1)}/`;
          expect(
            fastestMs(() => regex.test(subject)),
            pattern,
          ).toBeLessThan(10);
        },
      ),
      { seed: 4, numRuns: 300 },
    );
  });
});
