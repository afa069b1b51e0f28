// node load/run.ts smoke|steady|failover [--cluster] [k6 options]
//
// Runs one k6 script against the gateways named by TARGETS (default: those of `npm start`). With --cluster it starts a
// cluster of its own, runs against that, and stops it again. The exit code is k6's: 99 when a threshold was missed.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { findK6, HOW_TO_INSTALL } from "./find-k6.ts";
import { startLocalCluster } from "./local-cluster.ts";

const SCRIPTS = ["smoke", "steady", "failover"];

async function main([script = "", ...rest]: string[]): Promise<number> {
  if (!SCRIPTS.includes(script)) {
    process.stderr.write(`usage: node load/run.ts ${SCRIPTS.join("|")} [--cluster] [k6 options]\n`);
    return 64;
  }
  const k6 = findK6(process.env);
  if (k6 === null) {
    process.stderr.write(`${HOW_TO_INSTALL}\n`);
    return 1;
  }
  const args = ["run", join(import.meta.dirname, "k6", `${script}.js`), ...rest.filter(isForK6)];
  if (!rest.includes("--cluster")) return run(k6, args, {});
  const cluster = await startLocalCluster();
  try {
    return await run(k6, args, {
      TARGETS: cluster.gatewayUrls.join(","),
      CONTROL_URL: cluster.controlUrl,
    });
  } finally {
    await cluster.stop();
  }
}

const isForK6 = (argument: string) => argument !== "--cluster";

/** k6 gets a Ctrl-C of the terminal by itself, ends its run and reports; only then does this process go on. */
async function run(k6: string, args: string[], env: Record<string, string>): Promise<number> {
  const child = spawn(k6, args, { stdio: "inherit", env: { ...process.env, ...env } });
  const wait = () => {};
  process.on("SIGINT", wait);
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  const [code] = (await once(child, "exit")) as [number | null];
  process.off("SIGINT", wait);
  return code ?? 1;
}

process.exitCode = await main(process.argv.slice(2));
