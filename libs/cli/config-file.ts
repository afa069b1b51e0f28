// A configuration file as the commands read it: valid, or every fault printed at its place.
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { type Parsed, type PlacedProblem, parseConfig } from "@evenkeel/core/config/parse.ts";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import type { Context } from "./command.ts";

/** @param file as the user named it. @throws when it cannot be read */
export async function readConfigFile(file: string, directory: string): Promise<Parsed> {
  return parseConfig(await readText(resolve(directory, file), file), file);
}

async function readText(path: string, file: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Error(`cannot read ${file}: ${REASONS[code ?? ""] ?? message}`);
  }
}

const REASONS: Record<string, string> = {
  ENOENT: "there is no such file",
  EACCES: "permission denied",
  EISDIR: "it is a directory",
};

/** The document, or null after every problem was said. */
export async function loadConfig(file: string, context: Context): Promise<ConfigDocument | null> {
  const parsed = await readConfigFile(file, context.directory);
  if (parsed.ok) return parsed.document;
  for (const problem of parsed.problems) context.say(problemLine(file, problem));
  context.say(`${file} is not valid; nothing was started or changed`);
  return null;
}

export const problemLine = (file: string, { line, column, path, message }: PlacedProblem): string =>
  `${file}:${line}:${column}  ${path || "/"}  ${message}`;
