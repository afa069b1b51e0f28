// A headless Chromium, driven over its DevTools protocol: opens a page and answers what expressions in it say.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import WebSocket from "ws";
import { waitFor } from "./cluster.ts";
import { find } from "./have.ts";

const START_TIMEOUT_MS = 30_000;
const PAGE_TIMEOUT_MS = 20_000;

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/** Null: none on this machine. */
export const chromium: string | null = NAMES.map(find).find((path) => path !== null) ?? null;

export interface Page {
  /** The value of an expression, as JSON has it; promises are waited for. */
  evaluate<T>(expression: string): Promise<T>;
  /** Waits until an expression has a value that is true. */
  until(expression: string): Promise<void>;
  close(): Promise<void>;
}

export interface Browser {
  /** Certificates of any authority will do. */
  open(url: string): Promise<Page>;
  end(): Promise<void>;
}

interface Reply {
  id?: number;
  result?: Record<string, unknown>;
  error?: { message: string };
}

export async function startBrowser(): Promise<Browser> {
  const profile = await mkdtemp(join(tmpdir(), "evenkeel-browser-"));
  const flags = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
  ];
  const child = spawn(
    chromium as string,
    [...flags, "--ignore-certificate-errors", "--remote-debugging-port=0", `--user-data-dir=${profile}`],
    { stdio: ["ignore", "ignore", "pipe"], detached: true },
  );
  const exited = new Promise<void>((resolve) => child.on("exit", () => resolve()));
  let said = "";
  child.stderr.on("data", (chunk) => (said += String(chunk)));
  const end = async () => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL"); // with all its processes
    await exited;
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const url = await waitFor(() => /DevTools listening on (ws:\S+)/.exec(said)?.[1] ?? null, {
      timeoutMs: START_TIMEOUT_MS,
      what: "Chromium to start",
    });
    const send = await connectTo(url);
    return { open: (page) => openPage(send, page), end };
  } catch (error) {
    await end();
    throw new Error(`${(error as Error).message}\n${said}`);
  }
}

type Send = (method: string, params: object, sessionId?: string) => Promise<Record<string, unknown>>;

async function connectTo(url: string): Promise<Send> {
  const socket = new WebSocket(url);
  const waiting = new Map<number, (reply: Reply) => void>();
  socket.on("message", (data) => {
    const reply = JSON.parse(data.toString()) as Reply;
    if (reply.id !== undefined) waiting.get(reply.id)?.(reply);
  });
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  let last = 0;
  return (method, params, sessionId) =>
    new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, ({ result = {}, error }) => {
        waiting.delete(id);
        if (error) reject(new Error(`${method}: ${error.message}`));
        else resolve(result);
      });
      socket.send(JSON.stringify({ id, method, params, sessionId }));
    });
}

async function openPage(send: Send, url: string): Promise<Page> {
  const { targetId } = await send("Target.createTarget", { url });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  const evaluate = async <T>(expression: string): Promise<T> => {
    const asked = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await send("Runtime.evaluate", asked, sessionId as string);
    if (exceptionDetails) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return (result as { value: T }).value;
  };
  return {
    evaluate,
    until: async (expression) => {
      const holds = () => evaluate<boolean>(`Boolean(${expression})`);
      await waitFor(holds, { timeoutMs: PAGE_TIMEOUT_MS, what: `${expression} in the page` });
    },
    close: async () => void (await send("Target.closeTarget", { targetId })),
  };
}
