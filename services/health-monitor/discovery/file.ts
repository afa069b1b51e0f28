// Backends out of a file that somebody else writes. The directory is watched, which makes it quick: files are replaced by
// renaming, or by a link to another directory, as Kubernetes does. A look every few seconds makes it certain.
import { type FSWatcher, watch } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { parseBackends } from "@evenkeel/core/config/backend-list.ts";
import type { FileSource } from "@evenkeel/core/config/resolve-discovery.ts";
import { type RunningSource, realTimers, reasonOf, type SourceAnswer, type SourceStart } from "./source.ts";

/** Some file systems (network, FUSE) tell of no change. */
const LOOK_EVERY_MS = 2_000;
/** A file that is written in place is read only once it stayed the same for this long. */
const SETTLE_MS = 100;
/** How often that is waited for before it counts as a failure. */
const SETTLE_ROUNDS_MAX = 20;
/** 10,000 backends are about 0.8 MB. */
export const FILE_BYTES_MAX = 2 * 1024 * 1024;
/** Faults told of one file: whoever has more fixes these first. */
const FAULTS_TOLD = 3;

export function watchFile({ path }: FileSource, { tell }: SourceStart, timers = realTimers): RunningSource {
  let seen: string | null = null;
  let looking = false;
  let again = false;
  let stopped = false;
  let cancel = () => {};

  const look = async () => {
    again = looking;
    if (looking || stopped) return;
    looking = true;
    cancel();
    await directory.renew();
    do {
      again = false;
      if ((await sightOf(path)).signature === seen) continue;
      const { answer, signature } = await readSettled(path, (run) => timers.after(SETTLE_MS, run));
      seen = signature;
      if (!stopped) tell(answer);
    } while (again && !stopped);
    looking = false;
    if (!stopped) cancel = timers.after(LOOK_EVERY_MS, () => void look());
  };

  const directory = watchDirectory(dirname(path), () => void look());
  void look();
  return {
    stop() {
      stopped = true;
      cancel();
      directory.close();
    },
  };
}

/** Watches a directory, which may vanish and come back as another one. */
function watchDirectory(path: string, onChange: () => void) {
  let watcher: FSWatcher | null = null;
  let watched = "";
  let closed = false;
  const drop = () => {
    watcher?.close();
    watcher = null;
  };
  return {
    async renew() {
      const present = await stat(path).catch(() => null);
      const inode = present ? `${present.dev}:${present.ino}` : "";
      if (closed || (watcher && inode === watched)) return;
      drop();
      watched = inode;
      if (inode === "") return;
      try {
        watcher = watch(path, { persistent: false }, onChange).on("error", drop);
      } catch {
        // The system has no watches left, perhaps: then there are only the regular looks.
      }
    },
    close() {
      closed = true;
      drop();
    },
  };
}

/** What tells one content from another without reading it. */
interface Sight {
  signature: string;
  fault: string | null;
}

async function sightOf(path: string): Promise<Sight> {
  try {
    const entry = await stat(path, { bigint: true });
    const signature = [entry.dev, entry.ino, entry.size, entry.mtimeNs, entry.ctimeNs].join(":");
    if (!entry.isFile()) return { signature, fault: `${path} is no file` };
    const large = entry.size > FILE_BYTES_MAX;
    return { signature, fault: large ? `${path} is larger than ${FILE_BYTES_MAX} bytes` : null };
  } catch (error) {
    return { signature: reasonOf(error), fault: `${path} cannot be read: ${reasonOf(error)}` };
  }
}

/** Once nobody is writing. A null signature: to be read again however it looks. */
async function readSettled(
  path: string,
  after: (run: () => void) => void,
): Promise<{ answer: SourceAnswer; signature: string | null }> {
  for (let round = 0; round < SETTLE_ROUNDS_MAX; round++) {
    const { signature, fault } = await sightOf(path);
    await new Promise<void>(after);
    try {
      const text = fault === null ? await readFile(path, "utf8") : "";
      if ((await sightOf(path)).signature !== signature) continue;
      return { answer: fault === null ? answerOf(path, text) : { ok: false, reason: fault }, signature };
    } catch (error) {
      return { answer: { ok: false, reason: `${path} cannot be read: ${reasonOf(error)}` }, signature: null };
    }
  }
  return {
    answer: { ok: false, reason: `${path} keeps changing: rename a whole file there` },
    signature: null,
  };
}

function answerOf(path: string, text: string): SourceAnswer {
  const parsed = parseBackends(text, path);
  if (parsed.ok) return { ok: true, backends: parsed.backends };
  const told = parsed.problems.slice(0, FAULTS_TOLD).map((one) => `${path}:${one.line} ${at(one)}`);
  const more = parsed.problems.length - told.length;
  return { ok: false, reason: told.join("; ") + (more > 0 ? `; and ${more} more` : "") };
}

const at = ({ path, message }: { path: string; message: string }) => (path ? `${path} ${message}` : message);
