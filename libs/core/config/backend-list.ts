// From the text of a file that lists backends to those backends, or to every fault with its line and column: judged by
// the same schema and rules, and told in the same words, as the backends that a configuration names itself.
import { type PlacedProblem, parseConfig } from "./parse.ts";
import type { BackendDocument } from "./schema.ts";
import { type Validation, validateConfig } from "./validate.ts";

export type ParsedList = { ok: true; backends: BackendDocument[] } | { ok: false; problems: PlacedProblem[] };

/** @param name of the file, for messages about it as a whole */
export function parseBackends(text: string, name: string): ParsedList {
  // An eighth of the time that the reader of YAML takes, which can tell where a fault is.
  const quick = validated(fromJson(text));
  if (quick?.ok) return { ok: true, backends: backendsOf(quick) };
  const parsed = parseConfig(text, name, validateList);
  return parsed.ok ? { ok: true, backends: backendsOf(parsed) } : parsed;
}

const validated = (value: unknown) => (Array.isArray(value) ? validateList(value) : null);

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const PREFIX = "/pools/0/backends";

function validateList(value: unknown): Validation {
  if (value === null || value === undefined) {
    // What is being written is empty for a moment.
    return { ok: false, problems: [{ path: "", message: "is empty; write [] for no backends" }] };
  }
  const validation = validateConfig(around(value));
  if (validation.ok) return validation;
  const problems = validation.problems.map(({ path, message }) => ({
    path: path.startsWith(PREFIX) ? path.slice(PREFIX.length) : "",
    message: message.replaceAll(PREFIX, ""),
  }));
  return { ok: false, problems };
}

/** A configuration with nothing else in it that could be at fault. */
const around = (backends: unknown) => ({
  listeners: [{ name: "any", protocol: "http", port: 0 }],
  routes: [],
  pools: [{ name: "any", backends, discovery: { file: { path: "/any" } } }],
});

const backendsOf = ({ document }: { document: { pools: { backends: BackendDocument[] }[] } }) =>
  document.pools[0]?.backends ?? [];
