// All cells over all cores: a worker thread per core takes the next cell when it has finished one. Equal cells, which
// several tables share, are measured once.
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { Cell, Result } from "./cell.ts";

const WORKERS_MAX = 16;

/** @param progress called after every cell. @throws what a worker threw, after ending all of them */
export async function measureAll(
  cells: readonly Cell[],
  progress: (done: number, all: number) => void,
): Promise<(cell: Cell) => Result> {
  const waiting = new Map(cells.map((cell) => [keyOf(cell), cell]));
  const results = new Map<string, Result>();
  const all = waiting.size;
  const workers = Array.from(
    { length: Math.min(all, availableParallelism(), WORKERS_MAX) },
    () => new Worker(new URL("./worker.ts", import.meta.url)),
  );
  const work = async (worker: Worker) => {
    for (;;) {
      const [next] = waiting;
      if (!next) return;
      const [key, cell] = next;
      waiting.delete(key);
      results.set(key, await ask(worker, cell));
      progress(results.size, all);
    }
  };
  try {
    await Promise.all(workers.map(work));
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  return (cell) => {
    const result = results.get(keyOf(cell));
    if (!result) throw new Error(`not measured: ${keyOf(cell)}`);
    return result;
  };
}

function ask(worker: Worker, cell: Cell): Promise<Result> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => reject(error);
    worker.once("error", failed);
    worker.once("message", (result: Result) => {
      worker.off("error", failed);
      resolve(result);
    });
    worker.postMessage(cell);
  });
}

/** Names do not matter, and who has no gateways of its own is the same for any number of them. */
function keyOf({ scene, contender, seeds }: Cell): string {
  const gateways = contender.by === "central-queue" ? 0 : scene.gateways;
  return JSON.stringify([{ ...scene, gateways }, { ...contender, name: "" }, seeds]);
}
