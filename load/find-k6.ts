// Where the k6 program is on this machine. Looked up, never installed: k6 is no npm package.
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

export const HOW_TO_INSTALL =
  "k6 was not found. Install it with `go install go.k6.io/k6@latest`, from https://grafana.com/docs/k6/latest/set-up/install-k6/,\n" +
  "or set K6 to its path, or run the same script in a container: `docker compose run --rm k6 run /load/k6/smoke.js`.";

/** K6 if set, else the first k6 in PATH, else where `go install` puts it; null if it is nowhere. */
export function findK6(
  env: NodeJS.ProcessEnv,
  isProgram: (path: string) => boolean = isExecutable,
): string | null {
  if (env.K6) return isProgram(env.K6) ? env.K6 : null;
  const onPath = (env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const fromGo = env.GOBIN ?? join(env.GOPATH ?? join(env.HOME ?? "", "go"), "bin");
  return [...onPath, fromGo].map((folder) => join(folder, "k6")).find(isProgram) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
