// Measures one cell after the other, off the main thread.
import { parentPort } from "node:worker_threads";
import { type Cell, measure } from "./cell.ts";

parentPort?.on("message", async (cell: Cell) => parentPort?.postMessage(await measure(cell)));
