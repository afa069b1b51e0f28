// Which cluster a command acts on: the one named by --url, else the one that `evenkeel up` runs from this directory.
import { tokenFault } from "@evenkeel/runtime/environment.ts";
import { type AdminApi, createAdminApi } from "./admin-api.ts";
import { type Arguments, type Context, type Flag, UsageError } from "./command.ts";
import { readClusterFile } from "./supervisor/cluster-file.ts";

export const URL_FLAG: Flag = {
  type: "string",
  value: "URL",
  help: "a scheduler; default: the cluster that `evenkeel up` runs from this directory",
};

/** @throws UsageError, which does not repeat it, when it could not be sent */
function tokenOf({ EVENKEEL_TOKEN: token = "" }: Context["env"]): string {
  const fault = tokenFault(token);
  if (fault !== null) throw new UsageError(`EVENKEEL_TOKEN ${fault}`);
  return token;
}

/** @throws UsageError when there is none to be found */
export async function findCluster(args: Arguments, { env, directory }: Context): Promise<AdminApi> {
  const url = args.text("url");
  if (url !== null && !(/^https?:\/\//.test(url) && URL.canParse(url)))
    throw new UsageError(`--url must be a URL that begins with http://, got "${url}"`);
  const urls = url === null ? (await readClusterFile(directory))?.schedulers : [url];
  if (urls) return createAdminApi(urls, tokenOf(env));
  throw new UsageError(
    "no cluster runs from this directory; start one with `evenkeel up`, or name a scheduler with --url",
  );
}
