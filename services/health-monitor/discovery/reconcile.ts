// What counts as found, from one answer of a source to the next, and what of it is told to the cluster. No I/O.
import { backendAddress } from "@evenkeel/core/config/backend-url.ts";
import { type Discovered, mergeDiscovered, SOURCES, type Source } from "@evenkeel/core/config/discovered.ts";
import { type BackendDocument, type ConfigDocument, LIMITS } from "@evenkeel/core/config/schema.ts";
import { forbiddenAddress } from "@evenkeel/core/network/forbidden.ts";
import type { Rejected, SourceAnswer } from "./source.ts";

/** Of one source for one pool. */
export interface Found {
  /** Of the last good answer, or what stood in Redis before there was one. */
  backends: readonly BackendDocument[];
  /** Why the source cannot tell, since its last good answer. */
  failing: string | null;
  /** It names none, and its last ones stay. */
  keeping: boolean;
  rejected: readonly Rejected[];
}

export const nothingFound = (backends: readonly BackendDocument[] = []): Found => ({
  backends,
  failing: null,
  keeping: false,
  rejected: [],
});

/** Told of one answer: whoever has more faults mends these first. */
const REJECTED_MAX = 1_000;

/** A failure changes nothing. No backends at all after there were some: as the pool's rule says. */
export function take(found: Found, answer: SourceAnswer, whenEmpty: "keep" | "empty"): Found {
  if (!answer.ok) return { ...found, failing: answer.reason };
  const rejected = [...(answer.rejected ?? [])];
  const backends: BackendDocument[] = [];
  for (const backend of answer.backends) {
    const reason = backends.length < LIMITS.backendsPerPool ? faultOf(backend) : TOO_MANY;
    if (reason === null) backends.push(backend);
    else rejected.push({ what: String(backend?.id ?? ""), reason });
  }
  rejected.splice(REJECTED_MAX);
  const keeping = backends.length === 0 && found.backends.length > 0 && whenEmpty === "keep";
  return { backends: keeping ? found.backends : backends, failing: null, keeping, rejected };
}

const TOO_MANY = `more than ${LIMITS.backendsPerPool} backends from one source`;

function faultOf(backend: BackendDocument): string | null {
  if (typeof backend?.id !== "string" || typeof backend.url !== "string") return "is not a backend";
  const address = backendAddress(backend.url);
  return address && forbiddenAddress(address.host);
}

export type Board = ReadonlyMap<string, ReadonlyMap<Source, Found>>;

export interface LeftOutBackend {
  pool: string;
  source: Source;
  backend: string;
  reason: string;
}

/** All that was found, for everyone. What does not fit into its pool is part of it, and fits perhaps tomorrow. */
export function discoveredOf(board: Board): Discovered {
  const discovered: Discovered = {};
  for (const [pool, sources] of board) {
    const entry: Discovered[string] = {};
    for (const source of SOURCES) {
      const found = sources.get(source);
      if (found) entry[source] = [...found.backends];
    }
    discovered[pool] = entry;
  }
  return discovered;
}

/** What was found and serves nobody: for its address, or because its pool cannot take it. */
export function leftOutOf(board: Board, written: ConfigDocument, discovered: Discovered): LeftOutBackend[] {
  const leftOut: LeftOutBackend[] = [];
  for (const [pool, sources] of board)
    for (const [source, { rejected }] of sources)
      for (const { what, reason } of rejected) leftOut.push({ pool, source, backend: what, reason });
  for (const { pool, source, id, reason } of mergeDiscovered(written, discovered).leftOut)
    leftOut.push({ pool, source, backend: id, reason });
  return leftOut;
}
