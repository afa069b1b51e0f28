// Tables of raw requests: what is sent, what the client gets for it, and what may reach the backend. Each case runs over
// real sockets through a whole data path of its own.
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { expect, vi } from "vitest";
import { eventually, type RawClient, send, sendRaw, startGateway } from "./data-path.ts";
import { type Recorder, type SeenRequest, startRecorder } from "./recorder.ts";

/** Longer than `eventually` waits, so that it is its message that is shown. */
vi.setConfig({ testTimeout: 15_000 });

export interface RawCase {
  /** Goes on after "…" in the name of the test. */
  name: string;
  /** Latin-1. Several pieces are written one after the other. */
  sends: string | readonly string[];
  /** Statuses of the final answers in order; a list: any of them. */
  gets: readonly (number | readonly number[])[];
  /** After the last of these answers. When open, another request on it is answered rightly. "either": where messages end is clear. */
  connection: "open" | "closed" | "either";
  /** Request lines that reach the backend and are complete there: these, in this order, and no others. */
  forwards: readonly string[];
  /** Request line of one more that may begin at the backend, but must never be complete there. */
  cut?: string;
  /** Body of the last that is complete. */
  body?: string;
  /** Fields of the last that is complete, as "name: value", name in lower case. */
  passes?: readonly string[];
  /** Must be in no byte that reaches the backend; in any case of letters. */
  hides?: readonly string[];
  /** The answers have no bodies. */
  bodiless?: true;
}

export interface ClientAnswer {
  status: number;
  head: string;
  body: string;
  /** It ends where its framing says. */
  complete: boolean;
}

export const HOST = "Host: shop.example\r\n";
const PROBE = "GET /probe HTTP/1.1";
const AFTER = "GET /after HTTP/1.1";

/** A request without a body. @param fields without line ends */
export const request = (line: string, ...fields: string[]): string =>
  `${line} HTTP/1.1\r\n${HOST}${fields.map((field) => `${field}\r\n`).join("")}\r\n`;

/** A POST to / whose fields, Host apart, and body are as given. */
export const post = (fields: readonly string[], body: string): string => request("POST /", ...fields) + body;

/** Fails where anything of the case is not so. */
export async function check(raw: RawCase, config: Partial<ConfigDocument> = {}): Promise<void> {
  const backend = await startRecorder();
  const { port, url } = await startGateway([backend.origin], config);
  const client = await play(port, raw);
  if (raw.connection === "open") {
    const before = answersOf(client, raw.bodiless).length;
    client.socket.write(`${PROBE}\r\n${HOST}\r\n`);
    await eventually(() => answersOf(client, raw.bodiless).length > before, "an answer to one more request");
    const { received } = client;
    expect(received().endsWith(PROBE), `the answer to ${PROBE}: ${JSON.stringify(received())}`).toBe(true);
  } else {
    // Whatever was on its way to the backend has had its time; and the gateway goes on serving.
    expect((await send(url, { path: "/after" })).text).toBe(AFTER);
  }
  expectForwarded(raw, backend);
}

/** Sends the pieces, and waits for the answers and for the end of the connection where there is to be one. */
export async function play(port: number, raw: RawCase): Promise<RawClient> {
  const [first = "", ...more] = typeof raw.sends === "string" ? [raw.sends] : raw.sends;
  const client = sendRaw(port, first);
  for (const piece of more) {
    await eventually(() => client.socket.bytesWritten > 0 || client.closed(), "the first piece to go out");
    await turns(TURNS_BETWEEN_PIECES);
    client.socket.write(Buffer.from(piece, "latin1"));
  }
  const answers = () => answersOf(client, raw.bodiless);
  const arrived = () => answers().filter(({ complete }) => complete).length >= raw.gets.length;
  const over = () => (raw.connection === "closed" ? client.closed() : arrived());
  await eventually(
    over,
    `${raw.gets.length} answers, then ${raw.connection}; got ${JSON.stringify(client.received())}`,
  ).catch((error: Error) => {
    throw new Error(`${error.message}; got ${JSON.stringify(client.received().slice(0, SHOWN))}`);
  });
  const got = answers();
  const said = JSON.stringify(client.received().slice(0, SHOWN));
  expect(got.length, `number of answers in ${said}`).toBe(raw.gets.length);
  for (const [i, wanted] of raw.gets.entries()) expect([wanted].flat(), said).toContain(got[i]?.status);
  return client;
}

const SHOWN = 500;
/** Of the event loop: pieces arrive by themselves. */
const TURNS_BETWEEN_PIECES = 20;

export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

const ofTheTest = ({ line }: SeenRequest): boolean => line === PROBE || line === AFTER;

export function expectForwarded(
  raw: Omit<RawCase, "sends" | "gets" | "connection">,
  backend: Recorder,
): void {
  const seen = backend.seen.filter((one) => !ofTheTest(one));
  const complete = seen.filter((one) => one.complete);
  expect(complete.map(({ line }) => line)).toEqual(raw.forwards);
  const begun = seen.filter((one) => !one.complete).map(({ line }) => line);
  expect(raw.cut === undefined ? [] : [[], [raw.cut]]).toEqual(
    raw.cut === undefined ? begun : expect.arrayContaining([begun]),
  );
  expect(backend.faults).toEqual([]);
  const last = complete.at(-1);
  if (raw.body !== undefined) expect(last?.body).toBe(raw.body);
  for (const field of raw.passes ?? []) expect(last?.fields).toContain(field);
  const bytes = backend.bytes().toLowerCase();
  for (const text of raw.hides ?? []) expect(bytes).not.toContain(text.toLowerCase());
}

/** What has come so far; interim answers are left out. */
export function answersOf({ received, closed }: RawClient, bodiless = false): ClientAnswer[] {
  const answers: ClientAnswer[] = [];
  let text = received();
  while (text.length > 0) {
    const end = text.indexOf("\r\n\r\n");
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? Number.NaN);
    if (end < 0 || Number.isNaN(status)) {
      answers.push({ status: Number.NaN, head: text, body: "", complete: false });
      break;
    }
    const head = text.slice(0, end);
    const rest = text.slice(end + 4);
    if (status < 200 && status !== 101) {
      text = rest;
      continue;
    }
    const framed = bodiless ? { body: "", complete: true, used: 0 } : readBody(head, status, rest, closed());
    answers.push({ status, head, body: framed.body, complete: framed.complete });
    text = rest.slice(framed.used);
  }
  return answers;
}

interface Framed {
  body: string;
  complete: boolean;
  used: number;
}

function readBody(head: string, status: number, rest: string, closed: boolean): Framed {
  if (status === 101 || status === 204 || status === 304) return { body: "", complete: true, used: 0 };
  if (/\r\ntransfer-encoding: *chunked/i.test(head)) return readChunks(rest);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length === undefined) return { body: rest, complete: closed, used: rest.length };
  const body = rest.slice(0, Number(length));
  return { body, complete: body.length === Number(length), used: body.length };
}

function readChunks(text: string): Framed {
  let body = "";
  let at = 0;
  for (;;) {
    const lineEnd = text.indexOf("\r\n", at);
    const size = lineEnd < 0 ? Number.NaN : Number.parseInt(text.slice(at, lineEnd), 16);
    if (Number.isNaN(size)) return { body, complete: false, used: text.length };
    if (size === 0) {
      const end = text.indexOf("\r\n\r\n", lineEnd);
      return end < 0 ? { body, complete: false, used: text.length } : { body, complete: true, used: end + 4 };
    }
    const next = lineEnd + 2 + size + 2;
    body += text.slice(lineEnd + 2, next - 2);
    if (text.length < next) return { body, complete: false, used: text.length };
    at = next;
  }
}
