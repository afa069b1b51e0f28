// Requests of the gateway's own: bounded in time, in bytes and in how many are under way. No redirects are followed.
import { Agent, type Dispatcher, request } from "undici";

/** Connections to one origin; as many again may wait for one. */
const CONNECTIONS_PER_ORIGIN = 256;
/** Under way at once, over all origins; more fail at once. */
export const SUBREQUESTS_MAX = 1_024;
const CONNECT_TIMEOUT_MS = 1_000;
const MAX_HEADER_BYTES = 32 * 1024;

export type { Dispatcher };

export interface Subrequest {
  url: string;
  headers: Record<string, string>;
  timeoutMs: number;
  /** A longer body is an error. */
  bodyBytesMax: number;
}

export interface SubrequestAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

export interface Subrequests {
  /** @throws an error whose message may be logged */
  get(subrequest: Subrequest): Promise<SubrequestAnswer>;
  close(): void;
}

export const defaultDispatcher = (): Dispatcher =>
  new Agent({
    allowH2: false,
    pipelining: 1,
    connections: CONNECTIONS_PER_ORIGIN,
    connect: { timeout: CONNECT_TIMEOUT_MS },
    maxHeaderSize: MAX_HEADER_BYTES,
  });

export function createSubrequests(dispatcher: Dispatcher): Subrequests {
  let under = 0;
  return {
    async get({ url, headers, timeoutMs, bodyBytesMax }) {
      if (under >= SUBREQUESTS_MAX)
        throw new Error(`more than ${SUBREQUESTS_MAX} requests of this kind at once`);
      under += 1;
      try {
        const signal = AbortSignal.timeout(timeoutMs);
        const answer = await request(url, { dispatcher, method: "GET", headers, signal });
        const body = await bounded(answer.body, bodyBytesMax);
        return { status: answer.statusCode, headers: answer.headers, body };
      } catch (error) {
        throw new Error(reasonOf(error, timeoutMs));
      } finally {
        under -= 1;
      }
    },
    close() {
      dispatcher.close().catch(() => {}); // what is under way ends by its own timeout
    },
  };
}

async function bounded(body: Dispatcher.ResponseData["body"], bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new Error(`the answer is longer than ${bytesMax} bytes`); // ends the loop, which closes the body
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}

function reasonOf(error: unknown, timeoutMs: number): string {
  const { name, message, code } = error as Error & { code?: string };
  if (name === "TimeoutError" || name === "AbortError") return `no answer within ${timeoutMs} ms`;
  return message === "" ? (code ?? name) : message;
}
