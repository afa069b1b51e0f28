// .evenkeel/cluster.json: where the cluster that runs from this directory can be reached, for the other commands.
import { mkdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

export interface ClusterFile {
  /** The `evenkeel up` that wrote it. */
  pid: number;
  schedulers: string[];
}

const pathIn = (directory: string) => join(directory, ".evenkeel", "cluster.json");

export async function writeClusterFile(directory: string, content: ClusterFile): Promise<void> {
  await mkdir(dirname(pathIn(directory)), { recursive: true });
  await writeFile(pathIn(directory), `${JSON.stringify(content, null, 2)}\n`);
}

/** Null when no cluster runs from this directory. */
export async function readClusterFile(directory: string): Promise<ClusterFile | null> {
  try {
    const { pid, schedulers } = JSON.parse(await readFile(pathIn(directory), "utf8")) as Partial<ClusterFile>;
    return typeof pid === "number" && Array.isArray(schedulers) ? { pid, schedulers } : null;
  } catch {
    return null;
  }
}

/** Leaves the file of another cluster that was started here since. */
export async function removeClusterFile(directory: string, pid: number): Promise<void> {
  if ((await readClusterFile(directory))?.pid !== pid) return;
  await rm(pathIn(directory), { force: true });
  await rmdir(dirname(pathIn(directory))).catch(() => {}); // something else is in it
}
