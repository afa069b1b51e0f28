// `evenkeel schema`: the JSON Schema of a configuration, for editors and other tools.
import { ConfigSchema } from "@evenkeel/core/config/schema.ts";
import type { Command } from "../command.ts";

export const schema: Command = {
  name: "schema",
  summary: "print the JSON Schema of a configuration",
  positionals: [],
  flags: {},

  async run(_args, context) {
    const dialect = "https://json-schema.org/draft/2020-12/schema";
    context.print(JSON.stringify({ $schema: dialect, ...ConfigSchema }, null, 2));
    return 0;
  },
};
