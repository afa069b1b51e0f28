// `evenkeel check FILE`: is it valid, and if not, what is wrong and where. Touches nothing.
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import type { Command } from "../command.ts";
import { problemLine, readConfigFile } from "../config-file.ts";

export const check: Command = {
  name: "check",
  summary: "validate a configuration file",
  positionals: ["FILE"],
  flags: { json: { type: "boolean", help: "print {ok, problems} as JSON" } },
  details:
    "Exit code 0 when it is valid; 1 when it is not, with every fault as FILE:LINE:COLUMN  path  message.",

  async run(args, context) {
    const file = args.positionals[0] as string;
    const parsed = await readConfigFile(file, context.directory);
    if (args.given("json")) {
      context.print(JSON.stringify({ ok: parsed.ok, problems: parsed.ok ? [] : parsed.problems }));
    } else if (parsed.ok) {
      context.print(`ok: ${summaryOf(parsed.document)}`);
    } else {
      for (const problem of parsed.problems) context.print(problemLine(file, problem));
    }
    return parsed.ok ? 0 : 1;
  },
};

function summaryOf({ listeners, routes, pools }: ConfigDocument): string {
  const backends = pools.reduce((sum, pool) => sum + pool.backends.length, 0);
  const counts = { listener: listeners.length, route: routes.length, pool: pools.length, backend: backends };
  return Object.entries(counts)
    .map(([word, count]) => `${count} ${word}${count === 1 ? "" : "s"}`)
    .join(", ");
}
