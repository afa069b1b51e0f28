// npm run bench:proxy [-- small large upload memory streams sockets --quick --write]: what proxying a request costs beside
// other proxies, and what the gateway keeps in memory, as tables. Progress goes to standard error, so that standard output
// is the report alone.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { withMeasured } from "../measured.ts";
import { divideCores, pin } from "./proxy/machine.ts";
import { PROXY_SECTIONS, type ProxySection } from "./proxy/sections.ts";
import { machine, refuse } from "./report.ts";

const PAGE = new URL("../../docs/performance.md", import.meta.url);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const COMMAND = "npm run bench:proxy -- --write";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: "boolean", default: false }, write: { type: "boolean", default: false } },
});
const names = positionals.length > 0 ? positionals : Object.keys(PROXY_SECTIONS);
const unknown = names.find((name) => !PROXY_SECTIONS[name]);
if (unknown !== undefined)
  refuse(`there is no "${unknown}"; there is: ${Object.keys(PROXY_SECTIONS).join(", ")}`);
if (values.write && (positionals.length > 0 || values.quick)) {
  refuse("--write writes the whole page, so it goes with nothing else");
}

const options = {
  quick: values.quick,
  cores: coresOrRefuse(),
  modules: process.env.EVENKEEL_BENCH_PEERS ?? ROOT,
  progress: (line: string) => process.stderr.write(`${line}\n`),
};
const measuredOn = machine(); // before this process may no longer use all of it
pin(process.pid, options.cores.others);
const parts = [
  `On ${measuredOn}, ${new Date().toISOString().slice(0, 10)}. The proxy has core ${options.cores.proxy} to itself; load, backend, scheduler and Redis share core ${options.cores.others}.`,
];
for (const name of names) {
  const { title, about, run } = PROXY_SECTIONS[name] as ProxySection;
  parts.push(`### ${title}\n\n${about}\n\n${await run(options)}`);
}
const report = parts.join("\n\n");
process.stdout.write(`${report}\n`);
if (values.write) writeFileSync(PAGE, withMeasured(readFileSync(PAGE, "utf8"), COMMAND, report));

function coresOrRefuse() {
  try {
    return divideCores();
  } catch (error) {
    return refuse((error as Error).message);
  }
}
