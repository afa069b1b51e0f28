// Whether a value is a configuration, and everything that is wrong with it if not. The one gate: `check`, `apply`,
// `up` and the admin API all come through here, so that nothing invalid is ever applied.
import { type Problem, pointerParts } from "./problem.ts";
import type { Loose } from "./rule.ts";
import { RULES } from "./rules.ts";
import type { ConfigDocument } from "./schema.ts";
import { findSchemaFaults } from "./schema-faults.ts";

/** More are not reported: whoever has so many fixes these first. */
export const MAX_PROBLEMS = 100;

export type { Problem };
export type Validation = { ok: true; document: ConfigDocument } | { ok: false; problems: Problem[] };

/** @param value what came out of a JSON or YAML parser */
export function validateConfig(value: unknown): Validation {
  const faults = findSchemaFaults(value);
  const problems = [...faults.problems];
  if (faults.complete && isMapping(value)) {
    const draft = without(value, faults.unsound);
    for (const rule of Object.values(RULES)) {
      for (const problem of rule(draft)) {
        problems.push(problem);
        if (problems.length > MAX_PROBLEMS) break;
      }
    }
  }
  if (problems.length === 0) return { ok: true, document: value as ConfigDocument };
  return { ok: false, problems: bounded(problems) };
}

const isMapping = (value: unknown): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function bounded(problems: Problem[]): Problem[] {
  if (problems.length <= MAX_PROBLEMS) return problems;
  return [...problems.slice(0, MAX_PROBLEMS), { path: "", message: "and more; fix these first" }];
}

/** A copy with `undefined` in place of what the schema refused: the rules judge the rest. */
function without(value: unknown, unsound: readonly string[]): Loose<ConfigDocument> {
  const copy = unsound.length === 0 ? value : structuredClone(value);
  for (const path of unsound) {
    const parts = pointerParts(path);
    const last = parts.pop() as string;
    let parent = copy as Record<string, unknown> | undefined;
    for (const part of parts) parent = parent?.[part] as Record<string, unknown> | undefined;
    if (parent) parent[last] = undefined;
  }
  return copy as Loose<ConfigDocument>;
}
