// npm run bench:decisions [-- core hop fleet --quick --write]: what a decision costs, as tables. Progress goes to standard
// error, so that standard output is the report alone.
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { withMeasured } from "../measured.ts";
import { machine, refuse } from "./report.ts";
import { SECTIONS, type Section } from "./sections.ts";

const PAGE = new URL("../../docs/performance.md", import.meta.url);
const COMMAND = "npm run bench:decisions -- --write";
const CONCURRENCIES = "1,10,100,1000";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    concurrency: { type: "string", default: CONCURRENCIES },
  },
});
const names = positionals.length > 0 ? positionals : Object.keys(SECTIONS);
const unknown = names.find((name) => !SECTIONS[name]);
if (unknown !== undefined) refuse(`there is no "${unknown}"; there is: ${Object.keys(SECTIONS).join(", ")}`);
if (values.write && (positionals.length > 0 || values.quick || values.concurrency !== CONCURRENCIES)) {
  refuse("--write writes the whole page, so it goes with nothing else");
}

const options = {
  quick: values.quick,
  concurrencies: values.concurrency.split(",").map(Number),
  progress: (line: string) => process.stderr.write(`${line}\n`),
};
const parts = [`On ${machine()}, ${new Date().toISOString().slice(0, 10)}.`];
for (const name of names) {
  const { title, about, run } = SECTIONS[name] as Section;
  parts.push(`### ${title}\n\n${about}\n\n${await run(options)}`);
}
const report = parts.join("\n\n");
process.stdout.write(`${report}\n`);
if (values.write) writeFileSync(PAGE, withMeasured(readFileSync(PAGE, "utf8"), COMMAND, report));
