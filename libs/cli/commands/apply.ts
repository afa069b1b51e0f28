// `evenkeel apply FILE`: makes a file the applied configuration of a running cluster.
import { AdminApiError } from "../admin-api.ts";
import type { Command } from "../command.ts";
import { loadConfig } from "../config-file.ts";
import { findCluster, URL_FLAG } from "../find-cluster.ts";

export const apply: Command = {
  name: "apply",
  summary: "make FILE the configuration of a running cluster",
  positionals: ["FILE"],
  flags: { url: URL_FLAG },
  details:
    "The file is validated first; a faulty one changes nothing. EVENKEEL_TOKEN is sent when it is set.",

  async run(args, context) {
    const file = args.positionals[0] as string;
    const document = await loadConfig(file, context);
    if (!document) return 1;
    const api = await findCluster(args, context);
    try {
      context.print(`applied as version ${await api.apply(document)}`);
      return 0;
    } catch (error) {
      if (error instanceof AdminApiError) {
        for (const { path, message } of error.problems) context.say(`${file}  ${path || "/"}  ${message}`);
      }
      throw error;
    }
  },
};
