// What a command of the command line is, and how its arguments are read. Every flag is known, or refused with a hint.
import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { didYouMean } from "@evenkeel/core/config/suggest.ts";

export interface Flag {
  type: "boolean" | "string";
  /** For `--help`: one line. */
  help: string;
  /** For `--help`: what stands for the value. */
  value?: string;
  /** A whole number may follow the flag or not; without one this is its value. */
  usual?: number;
}

export interface Command {
  name: string;
  /** One line for the list of commands. */
  summary: string;
  /** Names of what follows the command, all of it required. */
  positionals: readonly string[];
  /** What may follow `--`, taken as it is. Without one nothing of its own may. */
  rest?: string;
  flags: Record<string, Flag>;
  /** More for `--help`. */
  details?: string;
  /** Returns the exit code. @throws UsageError, or any error whose message tells the user what went wrong */
  run(args: Arguments, context: Context): Promise<number>;
}

export interface Arguments {
  positionals: readonly string[];
  /** What followed `--`, of commands that have a use for it. */
  rest: readonly string[];
  /** Null when it was not given. */
  text(flag: string): string | null;
  given(flag: string): boolean;
}

/** The world outside, so that commands can be tested. */
export interface Context {
  env: NodeJS.ProcessEnv;
  directory: string;
  /** A line on standard output: what was asked for. */
  print(line: string): void;
  /** A line on standard error: progress and complaints. */
  say(line: string): void;
  /** Aborted once, at the first SIGINT, SIGTERM or SIGHUP. */
  signal: AbortSignal;
  /** Aborted at a second Ctrl-C: nobody wants to wait any more. */
  force: AbortSignal;
}

/** The user asked for something that does not exist or cannot be. Exit code 2. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** Null when help was asked for. @throws UsageError */
export function readArguments(command: Command, argv: readonly string[]): Arguments | null {
  const known = ["help", ...Object.keys(command.flags)];
  const options: ParseArgsOptionsConfig = { help: { type: "boolean", short: "h" } };
  for (const [name, { type }] of Object.entries(command.flags)) options[name] = { type };
  const end = command.rest === undefined ? -1 : argv.indexOf("--");
  const own = end === -1 ? argv : argv.slice(0, end);
  const { tokens } = parseArgs({
    args: withUsualValues(command, own),
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values = new Map<string, string | true>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    if (!known.includes(token.name)) {
      throw new UsageError(
        `unknown flag ${token.rawName}${didYouMean(
          token.rawName,
          known.map((name) => `--${name}`),
        )}`,
      );
    }
    if (token.name === "help") return null;
    values.set(token.name, flagValue(command.flags[token.name] as Flag, token));
  }
  checkPositionals(command, positionals);
  return {
    positionals,
    rest: end === -1 ? [] : argv.slice(end + 1),
    text: (flag) => (values.get(flag) as string | undefined) ?? null,
    given: (flag) => values.has(flag),
  };
}

/** So that a flag that stands alone does not take what follows it for its value. */
const withUsualValues = ({ flags }: Command, argv: readonly string[]): string[] =>
  argv.map((arg, i) => {
    const { usual } = (arg.startsWith("--") && flags[arg.slice(2)]) || {};
    return usual === undefined || /^\d+$/.test(argv[i + 1] ?? "") ? arg : `${arg}=${usual}`;
  });

interface Given {
  rawName: string;
  value?: string | undefined;
  /** Whether it was written --name=value. */
  inlineValue?: boolean | undefined;
}

function flagValue(flag: Flag, token: Given): string | true {
  if (flag.type === "boolean") {
    if (token.value === undefined) return true;
    throw new UsageError(`${token.rawName} takes no value`);
  }
  const isNextFlag = token.inlineValue === false && token.value?.startsWith("-");
  if (token.value === undefined || token.value === "" || isNextFlag) {
    throw new UsageError(`${token.rawName} needs a value: ${token.rawName} ${flag.value ?? "VALUE"}`);
  }
  return token.value;
}

function checkPositionals({ name, positionals: wanted }: Command, given: readonly string[]): void {
  const missing = wanted[given.length];
  if (missing !== undefined) throw new UsageError(`${name} needs ${missing}`);
  if (given.length > wanted.length) {
    throw new UsageError(`${name} does not know what to do with "${given[wanted.length]}"`);
  }
}

/** A whole number given as a flag. @throws UsageError outside [minimum, maximum] */
export function wholeNumber(
  args: Arguments,
  flag: string,
  fallback: number,
  [minimum, maximum]: readonly [number, number],
): number {
  const text = args.text(flag);
  if (text === null) return fallback;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= minimum && value <= maximum) return value;
  throw new UsageError(`--${flag} must be a whole number from ${minimum} to ${maximum}, got "${text}"`);
}

/** What `--help` prints. */
export function helpOf(command: Command): string {
  const flags = Object.entries(command.flags);
  const shown: [string, string][] = [
    ...flags.map(([name, flag]): [string, string] => [`--${name}${placeholder(flag)}`, flag.help]),
    ["--help", "this text"],
  ];
  const usage = ["evenkeel", command.name, ...command.positionals, flags.length > 0 ? "[flags]" : ""];
  if (command.rest) usage.push(`[-- ${command.rest}]`);
  const details = command.details ? `\n\n${command.details}` : "";
  return `${command.summary}\n\nUsage: ${usage.join(" ").trim()}\n\n${aligned(shown)}${details}`;
}

function placeholder({ value, usual }: Flag): string {
  if (value === undefined) return "";
  return usual === undefined ? ` ${value}` : ` [${value}]`;
}

/** Two columns. */
export function aligned(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}
