// Header and trailer fields as both sides of the proxy hold them: one flat list, in the order and spelling in which
// they came. No object per message, no loss of repeated or oddly spelled names.

/** Name as written, name in lower case, value; and the next. Latin-1. */
export type Fields = string[];

/** Places one field takes in the list. */
export const STEP = 3;

/** The value of the first field of that name. @param lower in lower case */
export function fieldOf(fields: readonly string[], lower: string): string | undefined {
  for (let i = 1; i < fields.length; i += STEP) {
    if (fields[i] === lower) return fields[i + 1];
  }
  return undefined;
}

/** All values of that name as one list (RFC 9110, 5.3); undefined where there is none. */
export function listOf(fields: readonly string[], lower: string): string | undefined {
  let all: string | undefined;
  for (let i = 1; i < fields.length; i += STEP) {
    if (fields[i] === lower) all = all === undefined ? fields[i + 1] : `${all}, ${fields[i + 1]}`;
  }
  return all;
}

/** @param name in lower case */
export function addField(fields: Fields, name: string, value: string): void {
  fields.push(name, name, value);
}
