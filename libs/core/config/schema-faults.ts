// What the schema has against a document, as one sentence per fault. TypeBox answers in the terms of JSON Schema and
// says some things twice; people who write a configuration should not need to know either.
import { Compile } from "typebox/compile";
import { Settings } from "typebox/system";
import { PATTERN_WORDS } from "./fields.ts";
import { type Problem, pointer, pointerParts, shown } from "./problem.ts";
import { ConfigSchema } from "./schema.ts";
import { closest, didYouMean } from "./suggest.ts";

/** TypeBox stops looking after this many (its default is 8, too few for "every fault"). */
export const MAX_SCHEMA_FAULTS = 1_000;
Settings.Set({ maxErrors: MAX_SCHEMA_FAULTS });

const compiled = Compile(ConfigSchema);

type Fault = ReturnType<typeof compiled.Errors>[number];

/** The few fields of JSON Schema that the messages speak of. */
interface SchemaNode {
  properties?: Record<string, SchemaNode>;
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
}

export interface SchemaFaults {
  problems: Problem[];
  /** Where a value is not what it should be, so that nothing more can be said of it. */
  unsound: string[];
  /** False: there may be more faults than were looked for. */
  complete: boolean;
}

export function findSchemaFaults(value: unknown): SchemaFaults {
  if (compiled.Check(value)) return { problems: [], unsound: [], complete: true };
  const faults = compiled.Errors(value);
  return {
    problems: faults.flatMap((fault) => describe(fault, value)),
    unsound: faults.filter((fault) => !KEY_FAULTS.has(fault.keyword)).map((fault) => fault.instancePath),
    complete: faults.length < MAX_SCHEMA_FAULTS,
  };
}

/** Faults of a mapping's keys: the rest of the mapping still means what it says. */
const KEY_FAULTS: ReadonlySet<string> = new Set(["boolean", "additionalProperties", "required"]);

const TYPE_WORDS: Record<string, string> = {
  object: "a mapping of keys to values",
  array: "a list",
  string: "text",
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
};

function describe(fault: Fault, document: unknown): Problem[] {
  const path = fault.instancePath;
  const got = at(document, path);
  switch (fault.keyword) {
    case "additionalProperties": // said again, with the key's own path, as "boolean"
      return [];
    case "boolean":
      return [{ path, message: unknownKey(path, fault.schemaPath) }];
    case "required":
      return fault.params.requiredProperties.map((key) => ({
        path: path + pointer(key),
        message: `key "${key}" is missing`,
      }));
    case "type":
      return [{ path, message: `must be ${typeWords(fault.params.type)}, got ${shown(got)}` }];
    case "enum":
      return [{ path, message: notAllowed(fault.params.allowedValues, got) }];
    case "pattern":
      return [{ path, message: `${patternWords(fault.params.pattern)}, got ${shown(got)}` }];
    case "minimum":
    case "exclusiveMinimum":
    case "maximum":
      return [{ path, message: `${rangeWords(schemaAt(fault.schemaPath))}, got ${shown(got)}` }];
    case "minItems":
      return [{ path, message: `must have at least ${counted(fault.params.limit)}` }];
    case "maxItems":
      return [{ path, message: `must have at most ${counted(fault.params.limit)}` }];
    case "minLength":
      return [{ path, message: "must not be empty" }];
    case "maxLength":
      return [{ path, message: `must have at most ${fault.params.limit} characters, got ${shown(got)}` }];
    default:
      return [{ path, message: fault.message }];
  }
}

function unknownKey(path: string, schemaPath: string): string {
  const key = pointerParts(path).at(-1) ?? "";
  const parent = schemaAt(schemaPath.slice(0, schemaPath.lastIndexOf("/")));
  const known = Object.keys(parent.properties ?? {});
  const hint = closest(key, known) === null ? `; known here: ${known.join(", ")}` : didYouMean(key, known);
  return `unknown key ${shown(key)}${hint}`;
}

function notAllowed(allowed: readonly unknown[], got: unknown): string {
  const quoted = allowed.find((one) => typeof one !== typeof got && String(one) === String(got));
  const known = typeof got === "string" ? didYouMean(got, allowed.map(String)) : "";
  const hint =
    typeof quoted === "string" ? `; YAML takes it for a ${typeof got}, so put it in quotes` : known;
  const words = allowed.map(shown).join(", ");
  return `must be ${allowed.length === 1 ? words : `one of ${words}`}, got ${shown(got)}${hint}`;
}

const typeWords = (type: string | readonly string[]): string =>
  [type]
    .flat()
    .map((one) => TYPE_WORDS[one] ?? one)
    .join(" or ");

const patternWords = (pattern: string | RegExp): string =>
  PATTERN_WORDS[String(pattern)] ?? `must match ${pattern}`;

const counted = (entries: number): string => `${entries} ${entries === 1 ? "entry" : "entries"}`;

function rangeWords({ minimum, exclusiveMinimum, maximum }: SchemaNode): string {
  if (exclusiveMinimum !== undefined) return `must be more than ${exclusiveMinimum} and at most ${maximum}`;
  if (minimum === undefined) return `must be at most ${maximum}`;
  return maximum === undefined ? `must be at least ${minimum}` : `must be from ${minimum} to ${maximum}`;
}

const schemaAt = (schemaPath: string): SchemaNode => (at(ConfigSchema, schemaPath) ?? {}) as SchemaNode;

function at(root: unknown, path: string): unknown {
  let value = root;
  for (const part of pointerParts(path)) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}
