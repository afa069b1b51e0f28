// The text of the ledger's library, made of the parts in lua/.
import { readFileSync } from "node:fs";

/** Redis takes a library as one text; each part sees what those before it define. */
const PARTS = [
  ...["header", "commands", "cache", "score", "pool", "backends", "rows", "store"],
  ...["eligibility", "estimate", "log", "membership", "health", "outcomes", "findings"],
  ...["levels", "queue", "lowest", "renumber", "picks", "configure", "state", "statements", "functions"],
];

/**
 * What every pick looks at of a backend. Its record has these at positions instead of names: a Lua table keeps names
 * scattered over three times the memory, and that is what a pool of 10,000 would spend its time on. The first ones are
 * never nil, so that Lua keeps all of them together.
 */
const POSITIONS = [
  ...["Id", "N", "Tick", "Touched", "Place", "Room", "SavedN", "Parked", "More"],
  ...["Key", "Score", "After", "Weight"],
];

const textOf = (part: string) => readFileSync(new URL(`./lua/${part}.lua`, import.meta.url), "utf8");

/** `b.Tick` → `b[3]` */
const withPositions = (text: string) =>
  POSITIONS.reduce(
    (packed, name, i) => packed.replaceAll(new RegExp(`\\.${name}\\b`, "g"), `[${i + 1}]`),
    text,
  );

export const ledgerLibrary = (): string => withPositions(PARTS.map(textOf).join("\n"));
