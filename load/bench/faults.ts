// npm run bench:faults [-- killed frozen … --quick --write --log]: what clients see of backends that fail, and how fast all
// gateways know, as tables. Progress goes to standard error, so that standard output is the report alone.
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { withMeasured } from "../measured.ts";
import { FAULT_SECTIONS, namesOfSections } from "./faults/sections.ts";
import { machine, refuse } from "./report.ts";

const PAGE = new URL("../../docs/performance.md", import.meta.url);
const COMMAND = "npm run bench:faults -- --write";
/** Past it something hangs, ms. */
const RUN_MAX_MS = 480_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    log: { type: "boolean", default: false },
  },
});
const known = namesOfSections();
const unknown = positionals.find((name) => !known.includes(name));
if (unknown !== undefined) refuse(`there is no "${unknown}"; there is: ${known.join(", ")}`);
if (values.write && (positionals.length > 0 || values.quick)) {
  refuse("--write writes the whole page, so it goes with nothing else");
}
const began = performance.now();
setTimeout(() => {
  process.stderr.write(`not done after ${RUN_MAX_MS / 1_000} s: given up\n`);
  process.exit(1); // everything that was started ends with this process
}, RUN_MAX_MS).unref();

const progress = (line: string) =>
  process.stderr.write(`${((performance.now() - began) / 1_000).toFixed(0).padStart(4)} s  ${line}\n`);
const log = (text: string) => void (values.log && process.stderr.write(`${text}\n`));
const options = { quick: values.quick, progress, log };
const wanted = (name: string) => positionals.length === 0 || positionals.includes(name);
const parts: string[] = [];
/** Shown at once: what comes after it may fail. */
const say = (part: string) => {
  process.stdout.write(`${part}\n\n`);
  parts.push(part);
};
say(`On ${machine()}, ${new Date().toISOString().slice(0, 10)}.`);
for (const { title, about, names, run } of FAULT_SECTIONS) {
  const chosen = names.filter(wanted);
  if (chosen.length > 0) say(`### ${title}\n\n${about}\n\n${await run(chosen, options)}`);
}
if (values.write) writeFileSync(PAGE, withMeasured(readFileSync(PAGE, "utf8"), COMMAND, parts.join("\n\n")));
process.exit(0);
