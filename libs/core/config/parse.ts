// From the text of a configuration file to a valid document, or to every fault with its line and column. YAML 1.2;
// JSON is a part of it.
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isPair,
  isScalar,
  LineCounter,
  parseDocument,
  visit,
} from "yaml";
import { type Problem, pointer, pointerParts, shown } from "./problem.ts";
import type { ConfigDocument } from "./schema.ts";
import { MAX_PROBLEMS, type Validation, validateConfig } from "./validate.ts";

export const MAX_TEXT_LENGTH = 16 * 1024 * 1024;
/** How many nodes the aliases of one document may stand for: a few lines could otherwise fill the memory. */
const MAX_ALIASES = 100;

export interface PlacedProblem extends Problem {
  /** Both count from 1. */
  line: number;
  column: number;
}

export type Parsed = { ok: true; document: ConfigDocument } | { ok: false; problems: PlacedProblem[] };

type Place = { line: number; column: number };
const START: Place = { line: 1, column: 1 };

/** Finds the faults of a value; what it accepts is the document. */
type Validate = (value: unknown) => Validation;

/** @param name of the file, for messages about it as a whole */
export function parseConfig(text: string, name: string, validate: Validate = validateConfig): Parsed {
  if (text.length > MAX_TEXT_LENGTH) return whole(`${name} is larger than 16 MiB`);
  try {
    return parse(text, validate);
  } catch (error) {
    // Nesting deeper than the stack, or aliases that stand for too much.
    return whole(`${name} cannot be read: ${(error as Error).message}`);
  }
}

const whole = (message: string): Parsed => ({ ok: false, problems: [{ path: "", message, ...START }] });

function parse(text: string, validate: Validate): Parsed {
  const lines = new LineCounter();
  const yaml = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false,
    logLevel: "error",
  });
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(Math.min(offset, text.length));
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  if (yaml.errors.length > 0) {
    const problems = yaml.errors.map(({ message, pos }) => ({ path: "", message, ...placeAt(pos[0]) }));
    return { ok: false, problems: inOrder(problems) };
  }
  const twice = repeatedKeys(yaml).map(({ offset, ...problem }) => ({ ...problem, ...placeAt(offset) }));
  const result = validate(yaml.toJS({ maxAliasCount: MAX_ALIASES }));
  if (result.ok && twice.length === 0) return result;
  const found = result.ok ? [] : result.problems;
  const placed = found.map((problem) => ({ ...problem, ...placeAt(offsetOf(yaml, problem.path)) }));
  return { ok: false, problems: inOrder([...twice, ...placed]) };
}

/** In the order of the file; what concerns the list of faults itself stays last. */
function inOrder(problems: PlacedProblem[]): PlacedProblem[] {
  const order = (p: PlacedProblem) => (p.message.startsWith("and more") ? Number.MAX_SAFE_INTEGER : p.line);
  return problems.toSorted((a, b) => order(a) - order(b) || a.column - b.column).slice(0, MAX_PROBLEMS + 1);
}

/** The later of two equal keys would silently win. (The parser's own check takes quadratic time.) */
function repeatedKeys(yaml: Document.Parsed): (Problem & { offset: number })[] {
  const found: (Problem & { offset: number })[] = [];
  visit(yaml, {
    Map(_, map, ancestors) {
      const seen = new Set<unknown>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        const name = String(key.value);
        if (seen.has(name)) {
          const path = pathOf([...ancestors, map]) + pointer(name);
          found.push({ path, message: `key ${shown(name)} is given twice`, offset: key.range?.[0] ?? 0 });
        }
        seen.add(name);
      }
    },
  });
  return found;
}

/** The pointer to the last of a chain of nested nodes. */
function pathOf(chain: readonly unknown[]): string {
  return chain
    .map((node, i) => {
      const parent = chain[i - 1];
      if (isPair(node) && isScalar(node.key)) return pointer(String(node.key.value));
      return isCollection(parent) && !isMap(parent) ? pointer(parent.items.indexOf(node)) : "";
    })
    .join("");
}

/** Where a path stands in the text: the key of an entry, the start of a list's item; what is absent: its parent. */
function offsetOf(yaml: Document.Parsed, path: string): number {
  let node: unknown = yaml.contents;
  let offset = startOf(node) ?? 0;
  for (const part of pointerParts(path)) {
    if (isAlias(node)) node = node.resolve(yaml);
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === part);
      if (!pair) break;
      node = pair.value;
      offset = startOf(pair.key) ?? offset;
    } else if (isCollection(node)) {
      node = node.items[Number(part)];
      offset = startOf(node) ?? offset;
    } else break;
  }
  return offset;
}

const startOf = (node: unknown): number | undefined =>
  (node as { range?: [number, number, number] } | null | undefined)?.range?.[0];
