// The configuration file a cluster starts from: applied once, while Redis holds none. It is read at that moment, so a
// faulty file never stops a scheduler of a running cluster, and a corrected one is taken without a restart.
import { readFile } from "node:fs/promises";
import { parseConfig } from "@evenkeel/core/config/parse.ts";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";

/** Problems named in one message; `evenkeel check` shows all. */
const SHOWN_MAX = 5;

/** Null without a file. @throws Error naming every place at fault, or why the file cannot be read */
export async function readSeed(file: string): Promise<ConfigDocument | null> {
  if (file === "") return null;
  const parsed = parseConfig(await readFile(file, "utf8"), file);
  if (parsed.ok) return parsed.document;
  const places = parsed.problems.map(
    ({ line, column, path, message }) => `${file}:${line}:${column} ${path} ${message}`,
  );
  const more = places.length > SHOWN_MAX ? [`and ${places.length - SHOWN_MAX} more`] : [];
  throw new Error([...places.slice(0, SHOWN_MAX), ...more].join("; "));
}
