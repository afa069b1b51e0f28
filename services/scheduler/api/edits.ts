// Lists of named things in a configuration document, changed without touching the original. What is put in may be
// anything: the whole document is judged afterwards.
import { shown } from "@evenkeel/core/config/problem.ts";
import { SchedulerError } from "../errors.ts";

/** The list with the thing of this name replaced by `body`, or with `body` at its end. */
export function put<T>(list: readonly T[], key: keyof T & string, name: string, body: unknown): unknown[] {
  const value = named(body, key, name);
  const at = list.findIndex((item) => item[key] === name);
  return at < 0 ? [...list, value] : (list as readonly unknown[]).with(at, value);
}

/** The list without the thing of this name. @throws `missing` when it has none */
export function without<T>(
  list: readonly T[],
  key: keyof T & string,
  name: string,
  missing: SchedulerError,
): T[] {
  const rest = list.filter((item) => item[key] !== name);
  if (rest.length === list.length) throw missing;
  return rest;
}

/** A body may leave out the name that the path gives. @throws when it gives another */
function named(body: unknown, key: string, name: string): unknown {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return body;
  const given = (body as Record<string, unknown>)[key];
  if (given === undefined || given === name) return { ...body, [key]: name };
  throw new SchedulerError("invalid_request", `the path says ${key} "${name}", the body ${shown(given)}`);
}
