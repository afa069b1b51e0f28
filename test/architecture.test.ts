// The borders of the design, checked on the imports as they stand.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative, sep } from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "..");
const LINES_MAX = 400;
const MAIN_LINES_MAX = 80;

/** Who may import whom; every area may import itself and its declared third parties. */
const AREAS: Record<string, { areas: string[]; io: boolean }> = {
  "libs/core": { areas: [], io: false },
  "libs/runtime": { areas: ["libs/core"], io: true },
  "libs/ledger": { areas: ["libs/core", "libs/runtime"], io: true },
  "libs/cli": { areas: ["libs/core", "libs/runtime"], io: true },
  "services/gateway": { areas: ["libs/core", "libs/runtime"], io: true },
  "services/scheduler": { areas: ["libs/core", "libs/runtime", "libs/ledger"], io: true },
  "services/health-monitor": { areas: ["libs/core", "libs/runtime", "libs/ledger"], io: true },
};

const PACKAGES: Record<string, string> = {
  "@evenkeel/core": "libs/core",
  "@evenkeel/runtime": "libs/runtime",
  "@evenkeel/ledger": "libs/ledger",
  evenkeel: "libs/cli",
};

/** Each third-party package is known to few places, so that replacing it touches few. */
const THIRD_PARTIES: Record<string, RegExp> = {
  typebox: /^libs\/core\/(config|wire)\/|^services\/scheduler\/api\//,
  yaml: /^libs\/core\/config\/parse\.ts$/,
  ioredis: /^libs\/runtime\/redis(-cluster)?\.ts$/,
  pino: /^libs\/runtime\/log\.ts$/,
  "prom-client": /^libs\/runtime\/(metrics|metric-families|admin-server)\.ts$/,
  fastify: /^libs\/runtime\/admin-server\.ts$|^services\/scheduler\/api\/|^services\/gateway\/admin\.ts$/,
  "@fastify/swagger": /^services\/scheduler\/api\//,
  maxmind: /^services\/gateway\/asking\/location-file\.ts$/,
  undici: /^services\/gateway\/access\/(subrequest|services)\.ts$/,
  jose: /^services\/gateway\/access\/(jwt|key-source)\.ts$/,
  bullmq: /^services\/health-monitor\/(sweep|notifications)\//,
  dockerode: /^services\/health-monitor\/discovery\/docker\.ts$/,
  "dns-packet": /^services\/health-monitor\/discovery\/dns(-[a-z]+)?\.ts$/,
};

interface Source {
  path: string;
  area: string;
  text: string;
  imports: string[];
}

const isTest = (path: string) =>
  /\.(test|redis\.test|e2e\.test)\.ts$|contract\.ts$|\/contract\/|fixtures\.ts$|\/test-support\//.test(path);

function sources(): Source[] {
  const found: Source[] = [];
  for (const area of Object.keys(AREAS)) {
    for (const name of readdirSync(join(ROOT, area), { recursive: true }) as string[]) {
      const path = join(area, name).split(sep).join("/");
      if (!/\.(ts|js|lua)$/.test(path) || path.includes("node_modules")) continue;
      const text = readFileSync(join(ROOT, path), "utf8");
      const imports = [
        ...text.matchAll(
          /^(?:import|export)\b[^;]*?from\s+"([^"]+)"|^import\s+"([^"]+)"|\bimport\("([^"]+)"\)/gms,
        ),
      ];
      found.push({ path, area, text, imports: imports.map((m) => (m[1] ?? m[2] ?? m[3]) as string) });
    }
  }
  return found;
}

const all = sources();
const shipped = all.filter((source) => !isTest(source.path));

function packageOf(specifier: string): string {
  const parts = specifier.split("/");
  return specifier.startsWith("@") ? parts.slice(0, 2).join("/") : (parts[0] as string);
}

/** The file a specifier means, null for third parties and Node's own modules. */
function fileOf(source: Source, specifier: string): string | null {
  if (specifier.startsWith("."))
    return normalize(join(dirname(source.path), specifier))
      .split(sep)
      .join("/");
  const area = PACKAGES[packageOf(specifier)];
  return area ? specifier.replace(packageOf(specifier), area) : null;
}

const offences = (check: (source: Source) => string[]) => shipped.flatMap(check);

describe("the architecture", () => {
  it("has sources in every area", () => {
    for (const area of Object.keys(AREAS))
      expect(shipped.filter((s) => s.area === area).length).toBeGreaterThan(2);
  });

  it("lets every area import only the areas below it; services never import each other", () => {
    expect(
      offences((source) =>
        source.imports.flatMap((specifier) => {
          const file = fileOf(source, specifier);
          if (file === null || file.startsWith(`${source.area}/`)) return [];
          const allowed = AREAS[source.area]?.areas.some((area) => file.startsWith(`${area}/`));
          return allowed ? [] : [`${source.path} imports ${specifier}`];
        }),
      ),
    ).toEqual([]);
  });

  it("keeps I/O, clocks, chance and the environment out of core", () => {
    const ambient =
      /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bperformance\.|\bprocess\.|\bset(Timeout|Interval|Immediate)\(|\bfetch\(/;
    expect(
      offences((source) => {
        if (AREAS[source.area]?.io) return [];
        const io = source.imports
          .filter((i) => i.startsWith("node:"))
          .map((i) => `${source.path} imports ${i}`);
        const used = ambient.exec(source.text);
        return used ? [...io, `${source.path} uses ${used[0]}`] : io;
      }),
    ).toEqual([]);
  });

  it("lets each third-party package be known to its few places only", () => {
    expect(
      offences((source) =>
        source.imports.flatMap((specifier) => {
          if (specifier.startsWith("node:") || fileOf(source, specifier) !== null) return [];
          const places = THIRD_PARTIES[packageOf(specifier)];
          return places?.test(source.path) ? [] : [`${source.path} imports ${specifier}`];
        }),
      ),
    ).toEqual([]);
  });

  it("has no import cycles", () => {
    const graph = new Map(
      shipped.map((s) => [s.path, s.imports.map((i) => fileOf(s, i)).filter((f) => f !== null)]),
    );
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (path: string, trail: string[]) => {
      if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(" → "));
      if (done.has(path) || trail.includes(path)) return;
      for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
      done.add(path);
    };
    for (const path of graph.keys()) visit(path, []);
    expect(cycles).toEqual([]);
  });

  it("reads process.env in main files only", () => {
    const allowed = /\/main\.ts$|^libs\/cli\//;
    expect(
      offences((s) =>
        /\bprocess\.env\b/.test(s.text.replace(/`process\.env`/g, "")) && !allowed.test(s.path)
          ? [s.path]
          : [],
      ),
    ).toEqual([]);
  });

  it(`keeps every file within ${LINES_MAX} lines and every main within ${MAIN_LINES_MAX}`, () => {
    const lines = (source: Source) => source.text.split("\n").length - 1;
    expect(shipped.filter((s) => lines(s) > LINES_MAX).map((s) => s.path)).toEqual([]);
    const mains = shipped.filter((s) => /^services\/(.+\/)?main\.ts$/.test(s.path));
    expect(mains.map((s) => relative(".", s.path)).sort()).toEqual([
      "services/gateway/main.ts",
      "services/gateway/workers/main.ts",
      "services/health-monitor/main.ts",
      "services/scheduler/main.ts",
    ]);
    expect(mains.filter((s) => lines(s) > MAIN_LINES_MAX).map((s) => s.path)).toEqual([]);
  });
});
