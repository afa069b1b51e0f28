// What rules are made of: the document they judge, and the few forms in which they judge its parts.
import { type Problem, shown } from "./problem.ts";
import type { ConfigDocument } from "./schema.ts";

/** A document from which whatever has the wrong form was taken out: the key stays, without a value. */
export type Loose<T> = T extends (infer E)[]
  ? (Loose<E> | undefined)[]
  : T extends object
    ? { [K in keyof T]?: Loose<T[K]> | undefined }
    : T;

export type Draft = Loose<ConfigDocument>;
export type Part<K extends "listeners" | "routes" | "pools"> = NonNullable<NonNullable<Draft[K]>[number]>;
export type Rule = (draft: Draft) => Iterable<Problem>;

/** Those that could be read, with their positions. */
export function* entries<T>(parts: readonly (T | undefined)[] | undefined): Generator<[number, T]> {
  for (const [i, part] of (parts ?? []).entries()) if (part !== undefined) yield [i, part];
}

/** Whether what stands there was taken out, so that nothing can be said of it. */
export const unreadable = <T extends object>(part: T, key: keyof T): boolean =>
  key in part && part[key] === undefined;

/** Whether nothing was taken out, there or anywhere inside. */
export function readable<T extends object>(part: T, key: keyof T): boolean {
  const inside = part[key];
  if (typeof inside !== "object" || inside === null) return !unreadable(part, key);
  return (Object.keys(inside) as (keyof typeof inside)[]).every((inner) => readable(inside, inner));
}

export function* checked(
  text: string | undefined,
  check: (text: string) => string | null,
  path: string,
): Generator<Problem> {
  const fault = text === undefined ? null : check(text);
  if (fault !== null) yield { path, message: `${fault}; got ${shown(text)}` };
}

/** Every part whose key an earlier one has already. */
export function* repeated<T>(
  parts: readonly (T | undefined)[],
  key: (part: T) => string | undefined,
  place: (index: number) => string,
  what: string,
): Generator<Problem> {
  const first = new Map<string, number>();
  for (const [i, part] of entries(parts)) {
    const value = key(part);
    if (value === undefined) continue;
    const earlier = first.get(value);
    if (earlier === undefined) first.set(value, i);
    else yield { path: place(i), message: `${what} ${shown(value)} is already taken by ${place(earlier)}` };
  }
}
