// Header fields that a route sets, adds and removes. What frames a message, ends at this hop or names the destination is
// not among them: the configuration was checked.
import type { HeaderRules } from "@evenkeel/core/config/resolve-routing.ts";
import { type Fields, STEP } from "../messages/fields.ts";

/** What it is given stays as it is, since a request may be sent again. */
export type ChangeFields = (fields: Fields) => Fields;

/** Null: nothing changes. */
export function compileHeaderRules(rules: HeaderRules | null): ChangeFields | null {
  if (rules === null) return null;
  const { set, add, remove } = rules;
  const dropped = new Set([...remove, ...set.map(([name]) => name.toLowerCase())]);
  const appended = [...set, ...add].flatMap(([name, value]) => [name, name.toLowerCase(), value]);
  if (dropped.size === 0 && appended.length === 0) return null;
  return (fields) => {
    const kept: Fields = [];
    for (let i = 0; i < fields.length; i += STEP) {
      const lower = fields[i + 1] as string;
      if (!dropped.has(lower)) kept.push(fields[i] as string, lower, fields[i + 2] as string);
    }
    for (let i = 0; i < appended.length; i += 1) kept.push(appended[i] as string);
    return kept;
  };
}
