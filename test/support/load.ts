// Real HTTP load from this process, bounded in count and time, recording what every request got.
import { Agent, request } from "node:http";

export interface Answer {
  /** 0 when no complete response came. */
  status: number;
  backend: string | null;
  setCookies: string[];
  body: string;
  /** Why there was no complete response. */
  error: string | null;
  /** Which of the targets was asked. */
  target: string;
  startedAtMs: number;
  endedAtMs: number;
}

const REQUEST_TIMEOUT_MS = 30_000;

export interface Client {
  get(url: string, headers?: Record<string, string>): Promise<Answer>;
  close(): void;
}

export function createClient(): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: 1_000 });
  return {
    get: (url, headers = {}) =>
      new Promise((resolve) => {
        const startedAtMs = Date.now();
        const chunks: Buffer[] = [];
        let status = 0;
        let backend: string | null = null;
        let setCookies: string[] = [];
        const finish = (error: string | null) =>
          resolve({
            status: error === null ? status : 0,
            backend,
            setCookies,
            body: Buffer.concat(chunks).toString(),
            error,
            target: url,
            startedAtMs,
            endedAtMs: Date.now(),
          });
        const outgoing = request(url, { agent, headers, timeout: REQUEST_TIMEOUT_MS }, (response) => {
          status = response.statusCode ?? 0;
          backend = (response.headers["x-evenkeel-backend"] as string | undefined) ?? null;
          setCookies = response.headers["set-cookie"] ?? [];
          response.on("data", (chunk) => chunks.push(chunk));
          response.on("end", () => finish(response.complete ? null : "cut off"));
          response.on("error", (error) => finish(error.message));
        });
        outgoing.on("timeout", () => outgoing.destroy(new Error("no answer in time")));
        outgoing.on("error", (error) => finish(error.message));
        outgoing.end();
      }),
    close: () => agent.destroy(),
  };
}

export interface Load {
  readonly answers: Answer[];
  /** Sends no more and waits for what is open. */
  stop(): Promise<Answer[]>;
}

/** `perSecond` requests a second in turn over `urls`, whatever the answers do (open loop). */
export function constantRate(client: Client, urls: string[], perSecond: number): Load {
  const answers: Answer[] = [];
  const open = new Set<Promise<void>>();
  const startedAtMs = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedAtMs) / 1_000) * perSecond);
    for (; sent < due; sent += 1) {
      const one: Promise<void> = client.get(urls[sent % urls.length] as string).then((answer) => {
        answers.push(answer);
        open.delete(one);
      });
      open.add(one);
    }
  }, 5);
  return {
    answers,
    async stop() {
      clearInterval(timer);
      await Promise.all(open);
      return answers;
    },
  };
}

/** Keeps `count` requests open at all times, in turn over `urls` (closed loop). */
export function alwaysOpen(client: Client, urls: string[], count: number): Load {
  const answers: Answer[] = [];
  let stopped = false;
  const keepOne = async (i: number) => {
    for (let turn = i; !stopped; turn += count) {
      answers.push(await client.get(urls[turn % urls.length] as string));
    }
  };
  const all = Array.from({ length: count }, (_, i) => keepOne(i));
  return {
    answers,
    async stop() {
      stopped = true;
      await Promise.all(all);
      return answers;
    },
  };
}

export const failures = (answers: readonly Answer[]) =>
  answers
    .filter((answer) => answer.status !== 200)
    .map(({ status, error, body, target }) => ({ status, error, body, target }));
