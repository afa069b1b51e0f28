// The command line `evenkeel`: finds the command, runs it, turns what it threw into a message and an exit code.
import { didYouMean } from "@evenkeel/core/config/suggest.ts";
import { EnvironmentError } from "@evenkeel/runtime/environment.ts";
import { aligned, type Command, type Context, helpOf, readArguments, UsageError } from "./command.ts";
import { apply } from "./commands/apply.ts";
import { check } from "./commands/check.ts";
import { demo } from "./commands/demo.ts";
import { events } from "./commands/events.ts";
import { activate, disable, drain } from "./commands/modes.ts";
import { notifications } from "./commands/notifications.ts";
import { register } from "./commands/register.ts";
import { schema } from "./commands/schema.ts";
import { status } from "./commands/status.ts";
import { up } from "./commands/up.ts";
import { createInterruption } from "./interruption.ts";

const COMMANDS: readonly Command[] = [
  demo,
  up,
  check,
  apply,
  status,
  events,
  drain,
  activate,
  disable,
  register,
  notifications,
  schema,
];

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

async function main(argv: readonly string[], context: Context): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    context.print(overview());
    return name === undefined ? EXIT_USAGE : 0;
  }
  const command = COMMANDS.find((one) => one.name === name);
  try {
    if (!command)
      throw new UsageError(
        `unknown command "${name}"${didYouMean(
          name,
          COMMANDS.map((c) => c.name),
        )}`,
      );
    const args = readArguments(command, rest);
    if (args) {
      const code = await command.run(args, context);
      return context.force.aborted ? EXIT_FAILED : code;
    }
    context.print(helpOf(command));
    return 0;
  } catch (error) {
    if (context.signal.aborted) return EXIT_FAILED;
    context.say(`evenkeel: ${(error as Error).message}`);
    if (error instanceof EnvironmentError) return EXIT_USAGE;
    if (!(error instanceof UsageError)) return EXIT_FAILED;
    context.say(`Try: evenkeel ${command ? `${command.name} ` : ""}--help`);
    return EXIT_USAGE;
  }
}

const overview = (): string =>
  `evenkeel: a distributed load balancer on one shared count

Usage: evenkeel COMMAND [arguments]

${aligned(COMMANDS.map((command) => [[command.name, ...command.positionals].join(" "), command.summary] as const))}

evenkeel COMMAND --help says more about each.`;

const PARENT_CHECK_MS = 500;
/** Whatever still runs ends with this process: it was told by a second Ctrl-C not to wait for it. */
const FORCED_EXIT_MS = 4_000;

/** npm passes a SIGTERM on to the shell between, which dies of it and tells nobody. */
function leaveWithParent(): void {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) stop();
  }, PARENT_CHECK_MS).unref();
}

const { signal, force, stop, interrupt } = createInterruption(() => performance.now());
force.addEventListener("abort", () => setTimeout(() => process.exit(EXIT_FAILED), FORCED_EXIT_MS).unref());
process.on("SIGINT", interrupt);
process.on("SIGTERM", stop);
process.on("SIGHUP", stop);
// Started by the launcher under another Node: leave when it is gone, however it ended.
process.on("disconnect", stop);
process.channel?.unref();
if (process.env.npm_lifecycle_event !== undefined) leaveWithParent();
// Whoever read them has left.
process.stdout.on("error", stop);
process.stderr.on("error", stop);

process.exitCode = await main(process.argv.slice(2), {
  env: process.env,
  directory: process.cwd(),
  print: (line) => process.stdout.write(`${line}\n`),
  say: (line) => process.stderr.write(`${line}\n`),
  signal,
  force,
});
if (process.connected) process.disconnect?.();
