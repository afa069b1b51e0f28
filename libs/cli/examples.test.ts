// What is shown to users holds: the examples are valid, and between them and the page nothing is left out.
import { readdirSync, readFileSync } from "node:fs";
import { parseConfig } from "@evenkeel/core/config/parse.ts";
import { ConfigSchema, POLICIES } from "@evenkeel/core/config/schema.ts";
import { OWN_CRITERIA } from "@evenkeel/core/config/schema-scheduling.ts";
import { expect, test } from "vitest";
import { readArguments } from "./command.ts";
import { schema } from "./commands/schema.ts";

const ROOT = new URL("../../", import.meta.url);
const textOf = (path: string) => readFileSync(new URL(path, ROOT), "utf8");

interface Node {
  properties?: Record<string, Node>;
  items?: Node;
}

/** Every setting as a path of keys, such as pools.backends.id. */
const settingsOf = ({ properties = {}, items }: Node): string[] =>
  items
    ? settingsOf(items)
    : Object.entries(properties).flatMap(([key, node]) => [
        key,
        ...settingsOf(node).map((inner) => `${key}.${inner}`),
      ]);

function keysOf(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  if (Array.isArray(value)) return value.flatMap(keysOf);
  return Object.entries(value).flatMap(([key, inner]) => [
    key,
    ...keysOf(inner).map((path) => `${key}.${path}`),
  ]);
}

const PAGES = [
  "configuration",
  "listeners",
  "routes",
  "access",
  "resilience",
  "health",
  "discovery",
  "events",
];
const FILES = ["full.yaml", "gateway.yaml", "discovery.yaml"];

const SETTINGS = settingsOf(ConfigSchema as Node);

test.each(readdirSync(new URL("examples/", ROOT)))("examples/%s is valid", (file) => {
  expect(parseConfig(textOf(`examples/${file}`), file)).toMatchObject({ ok: true });
});

test("examples/full.yaml, gateway.yaml and discovery.yaml show every setting between them", () => {
  const documents = FILES.map((file) => {
    const parsed = parseConfig(textOf(`examples/${file}`), file);
    return parsed.ok && parsed.document;
  });
  const shown = new Set(documents.flatMap(keysOf));
  expect(SETTINGS.length).toBeGreaterThan(60);
  expect(SETTINGS.filter((setting) => !shown.has(setting))).toEqual([]);
});

test("the pages on configuration name every setting, every policy and every criterion", () => {
  const page = PAGES.map((name) => textOf(`docs/${name}.md`)).join("\n");
  const words = [
    ...SETTINGS.map((setting) => setting.split(".").at(-1) as string),
    ...POLICIES,
    ...OWN_CRITERIA,
  ];
  const missing = words.filter((word) => !new RegExp(`(\`|\\.|: |, |\\{ )${word}\\b`).test(page));
  expect(missing).toEqual([]);
});

test("`evenkeel schema` prints all of it as JSON Schema", async () => {
  const lines: string[] = [];
  const { signal } = new AbortController();
  const args = readArguments(schema, []);
  if (!args) return expect.unreachable("help");
  const world = { env: {}, directory: "/", say: () => {}, signal, force: signal };
  expect(await schema.run(args, { ...world, print: (line) => lines.push(line) })).toBe(0);
  const printed = JSON.parse(lines.join("\n"));
  expect(printed.$schema).toMatch(/^https:\/\/json-schema\.org\//);
  expect(settingsOf(printed)).toEqual(SETTINGS);
  expect(printed.properties.pools.items.properties.policy.enum).toEqual([...POLICIES]);
});
