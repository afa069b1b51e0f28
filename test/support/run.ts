// Programs of this machine as clients: run to their end within a bound, or held open and talked to.
import { type ChildProcess, spawn } from "node:child_process";
import { waitFor } from "./cluster.ts";

const RUN_TIMEOUT_MS = 30_000;
const SAY_TIMEOUT_MS = 20_000;

export interface Ran {
  /** Null: it was killed, because it took too long. */
  code: number | null;
  stdout: Buffer;
  /** `stdout` as text. */
  text: string;
  stderr: string;
}

export interface RunOptions {
  /** For its standard input, which then ends. */
  input?: string | Buffer;
  env?: Record<string, string>;
}

export function run(
  program: string,
  args: readonly string[],
  { input = "", env }: RunOptions = {},
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { timeout: RUN_TIMEOUT_MS, env: { ...process.env, ...env } });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (chunk) => out.push(chunk));
    child.stderr.on("data", (chunk) => err.push(chunk));
    child.stdin.on("error", () => {}); // it need not read all
    child.on("error", reject);
    child.on("close", (code) => {
      const stdout = Buffer.concat(out);
      resolve({ code, stdout, text: stdout.toString(), stderr: Buffer.concat(err).toString() });
    });
    child.stdin.end(input);
  });
}

export interface Talk {
  /** All that it has said so far, on either output. */
  said(): string;
  /** Waits until it has said this. */
  until(expected: string | RegExp): Promise<void>;
  say(text: string): void;
  /** False: it has ended. */
  running(): boolean;
  end(): Promise<void>;
}

export function talkTo(program: string, args: readonly string[]): Talk {
  const child: ChildProcess = spawn(program, args, { stdio: "pipe" });
  let said = "";
  let running = true;
  const closed = new Promise<void>((resolve) => {
    child.on("close", () => {
      running = false;
      resolve();
    });
  });
  for (const output of [child.stdout, child.stderr]) output?.on("data", (chunk) => (said += String(chunk)));
  child.stdin?.on("error", () => {});
  return {
    said: () => said,
    async until(expected) {
      const found = () => (typeof expected === "string" ? said.includes(expected) : expected.test(said));
      await waitFor(found, { timeoutMs: SAY_TIMEOUT_MS, what: `${program} to say ${expected}` }).catch(
        (error) => {
          throw new Error(`${error.message}; it said:\n${said}`);
        },
      );
    },
    say: (text) => void child.stdin?.write(text),
    running: () => running,
    async end() {
      child.kill("SIGKILL");
      await closed;
    },
  };
}
