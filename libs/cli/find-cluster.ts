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
function tokenOf({ env }: Context, name: "EVENKEEL_TOKEN" | "EVENKEEL_REGISTER_TOKEN"): string {
  const token = env[name] ?? "";
  const fault = tokenFault(token);
  if (fault !== null) throw new UsageError(`${name} ${fault}`);
  return token;
}

/** For registrations. @throws UsageError */
export const registerToken = (context: Context): string =>
  tokenOf(context, "EVENKEEL_REGISTER_TOKEN") || tokenOf(context, "EVENKEEL_TOKEN");

const NO_CLUSTER =
  "no cluster runs from this directory; start one with `evenkeel up`, or name a scheduler with";

/** All schedulers that are known: those given, those of the environment, or those of `evenkeel up`. @throws UsageError */
export async function apiUrls(given: string | null, { env, directory }: Context): Promise<string[]> {
  const text = given ?? env.EVENKEEL_SCHEDULERS ?? "";
  const urls = text
    .split(",")
    .map((url) => url.trim())
    .filter((url) => url !== "");
  const faulty = urls.find((url) => !(/^https?:\/\//.test(url) && URL.canParse(url)));
  if (faulty !== undefined) {
    const where = given === null ? "EVENKEEL_SCHEDULERS" : "--api";
    throw new UsageError(
      `${where} must be URLs that begin with http://, separated by commas; got "${faulty}"`,
    );
  }
  if (urls.length > 0) return urls;
  const found = (await readClusterFile(directory))?.schedulers;
  if (found) return found;
  throw new UsageError(`${NO_CLUSTER} --api`);
}

/** @throws UsageError when there is none to be found */
export async function findCluster(args: Arguments, context: Context): Promise<AdminApi> {
  const url = args.text("url");
  if (url !== null && !(/^https?:\/\//.test(url) && URL.canParse(url)))
    throw new UsageError(`--url must be a URL that begins with http://, got "${url}"`);
  const urls = url === null ? (await readClusterFile(context.directory))?.schedulers : [url];
  if (urls) return createAdminApi(urls, tokenOf(context, "EVENKEEL_TOKEN"));
  throw new UsageError(`${NO_CLUSTER} --url`);
}
