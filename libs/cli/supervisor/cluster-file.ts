// .evenkeel/cluster.json: where the cluster that runs from this directory can be reached, for the other commands. A
// convenience: a cluster runs as well where it cannot be written.
import { mkdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { interruptible } from "./interruptible.ts";

/** A file system that does not answer must not hold a cluster up. */
const FILE_TIMEOUT_MS = 2_000;
const NAME = join(".evenkeel", "cluster.json");

export interface ClusterFile {
  /** The `evenkeel up` that wrote it. */
  pid: number;
  schedulers: string[];
}

/** Says what the other commands need when the file cannot be written, or is that of another cluster that still runs. */
export async function recordCluster(
  directory: string,
  content: ClusterFile,
  say: (line: string) => void,
): Promise<void> {
  const byUrl = `--url ${content.schedulers[0]}`;
  try {
    const other = await interruptible(write(directory, content), AbortSignal.timeout(FILE_TIMEOUT_MS));
    if (other === null) return;
    say(`another cluster (pid ${other}) runs from this directory: \`evenkeel status\` shows that one.`);
    say(`For this one: evenkeel status ${byUrl}`);
  } catch (error) {
    say(`cannot write ${NAME} (${(error as Error).message}): \`evenkeel status\` needs ${byUrl}`);
  }
}

/** Returns the process id of the cluster whose file it left in place, else null. */
async function write(directory: string, content: ClusterFile): Promise<number | null> {
  const present = await readClusterFile(directory);
  if (present && present.pid !== content.pid && isAlive(present.pid)) return present.pid;
  const path = join(directory, NAME);
  // Not `recursive`, which never returns below /proc. The directory itself is there: it is the working directory.
  await mkdir(dirname(path)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  await writeFile(path, `${JSON.stringify(content, null, 2)}\n`);
  return null;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Null when no cluster runs from this directory. */
export async function readClusterFile(directory: string): Promise<ClusterFile | null> {
  try {
    const text = await readFile(join(directory, NAME), "utf8");
    const { pid, schedulers } = JSON.parse(text) as Partial<ClusterFile>;
    return Number.isInteger(pid) && Number(pid) > 0 && Array.isArray(schedulers)
      ? { pid: Number(pid), schedulers }
      : null;
  } catch {
    return null;
  }
}

/** Leaves the file of another cluster, and one that cannot be removed. */
export async function removeClusterFile(directory: string, pid: number): Promise<void> {
  const remove = async () => {
    if ((await readClusterFile(directory))?.pid !== pid) return;
    await rm(join(directory, NAME), { force: true });
    await rmdir(dirname(join(directory, NAME))); // fails when something else is in it
  };
  await interruptible(remove(), AbortSignal.timeout(FILE_TIMEOUT_MS)).catch(() => {});
}
