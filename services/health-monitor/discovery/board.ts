// The sources of all pools, those that run and what each has found.
import { type Discovered, SOURCES, type Source } from "@evenkeel/core/config/discovered.ts";
import { type Discovery, resolveDiscovery } from "@evenkeel/core/config/resolve-discovery.ts";
import type { BackendDocument, ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { type Board, type Found, nothingFound, take } from "./reconcile.ts";
import type { RunningSource, Timers } from "./source.ts";
import type { Sources } from "./sources.ts";

export interface BoardOptions {
  sources: Sources;
  timers: Timers;
  onAnswer(pool: string, source: Source, before: Found, after: Found): void;
}

interface Entry {
  found: Found;
  running: RunningSource | null;
  /** What it runs with; when that is another, it starts anew. */
  settings: string;
  goodAtMs: number | null;
}

const entryOf = (found: Found): Entry => ({ found, running: null, settings: "", goodAtMs: null });

export type SourceBoard = ReturnType<typeof createBoard>;

export function createBoard({ sources, timers, onAnswer }: BoardOptions) {
  const board = new Map<string, Map<Source, Entry>>();

  const start = (pool: string, source: Source, discovery: Discovery) => {
    const entries = board.get(pool) ?? new Map<Source, Entry>();
    const entry = entries.get(source) ?? entryOf(nothingFound());
    const settings = JSON.stringify([discovery[source], discovery.whenEmpty]);
    if (entry.running && entry.settings === settings) return;
    board.set(pool, entries.set(source, entry));
    entry.running?.stop();
    entry.settings = settings;
    entry.running = sources.start(source, discovery[source] as never, {
      pool,
      known: entry.found.backends,
      tell(answer) {
        const before = entry.found;
        entry.found = take(before, answer, source === "registration" ? "empty" : discovery.whenEmpty);
        if (answer.ok) entry.goodAtMs = timers.nowMs();
        onAnswer(pool, source, before, entry.found);
      },
    });
  };

  function* entries(): Generator<{ pool: string; source: Source; entry: Entry }> {
    for (const [pool, its] of board) for (const [source, entry] of its) yield { pool, source, entry };
  }

  return {
    /** Begins with what is known. */
    load(discovered: Discovered): void {
      for (const [pool, found] of Object.entries(discovered)) board.set(pool, loaded(found));
    },
    /** Starts, changes and stops sources, so that those of the configuration run. What the others found stays. */
    follow(written: ConfigDocument): void {
      const wanted = new Map(written.pools.map((pool) => [pool.name, resolveDiscovery(pool)]));
      for (const { pool, source, entry } of entries()) {
        if (wanted.get(pool)?.[source]) continue;
        entry.running?.stop();
        entry.running = null;
      }
      for (const [pool, discovery] of wanted)
        for (const source of SOURCES) if (discovery?.[source]) start(pool, source, discovery);
    },
    /** Drops what no source stands behind. */
    forget(): { pool: string; source: Source }[] {
      const forgotten = [...entries()].filter(({ entry }) => entry.running === null);
      for (const { pool, source } of forgotten) board.get(pool)?.delete(source);
      for (const [pool, its] of board) if (its.size === 0) board.delete(pool);
      return forgotten;
    },
    clear(): void {
      for (const { entry } of entries()) entry.running?.stop();
      board.clear();
    },
    found: (): Board => new Map([...board].map(([pool, its]) => [pool, foundOf(its)])),
    /** Since the last good answer of each source that has given one. */
    ages: () =>
      [...entries()].flatMap(({ pool, source, entry: { goodAtMs } }) =>
        goodAtMs === null ? [] : [{ pool, source, ageMs: timers.nowMs() - goodAtMs }],
      ),
  };
}

function loaded(found: Discovered[string] | undefined): Map<Source, Entry> {
  const its = new Map<Source, Entry>();
  for (const source of SOURCES) {
    const backends = found?.[source];
    if (Array.isArray(backends)) its.set(source, entryOf(nothingFound(backends.filter(isBackend))));
  }
  return its;
}

/** Redis is open to whoever can reach it. What fits into its pool is judged later. */
const isBackend = (one: BackendDocument | null): boolean =>
  typeof one?.id === "string" && typeof one.url === "string";

const foundOf = (its: ReadonlyMap<Source, Entry>) =>
  new Map([...its].map(([source, { found }]) => [source, found]));
