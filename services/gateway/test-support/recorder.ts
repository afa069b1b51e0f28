// A backend for tests of what may reach one: a bare socket server with a parser of its own, which notes every request that
// begins, and answers those that are complete with their own request line.
import type { Socket } from "node:net";
import { startRawBackend } from "./data-path.ts";

export interface SeenRequest {
  /** Such as GET /x HTTP/1.1 */
  line: string;
  /** As "name: value", name in lower case. */
  fields: string[];
  body: string;
  trailers: string[];
  /** It came to its end. */
  complete: boolean;
}

export interface Recorder {
  origin: string;
  /** In the order in which they began. */
  seen: SeenRequest[];
  /** All bytes that came, of all connections. */
  bytes(): string;
  /** What no request should look like. */
  faults: string[];
}

/** @param answer bytes for a complete request; null: none. Default: 200 with the request line as its body */
export async function startRecorder(
  answer: (request: SeenRequest, socket: Socket) => string | null = echo,
): Promise<Recorder> {
  const seen: SeenRequest[] = [];
  const faults: string[] = [];
  let bytes = "";
  const origin = await startRawBackend((socket) => {
    const reader = new RequestReader(seen, faults, (request) => {
      const text = answer(request, socket);
      if (text !== null) socket.write(Buffer.from(text, "latin1"));
    });
    socket.on("data", (chunk) => {
      const text = chunk.toString("latin1");
      bytes += text;
      reader.take(text);
    });
  });
  return { origin, seen, bytes: () => bytes, faults };
}

export function echo({ line }: SeenRequest): string {
  const body = line.startsWith("HEAD ") ? "" : line;
  return `HTTP/1.1 200 OK\r\ncontent-length: ${line.length}\r\n\r\n${body}`;
}

const HEAD_END = "\r\n\r\n";

/** One connection. What it cannot read is a fault, and ends its reading. */
class RequestReader {
  readonly #seen: SeenRequest[];
  readonly #faults: string[];
  readonly #done: (request: SeenRequest) => void;
  #text = "";
  #request: SeenRequest | null = null;
  /** Bytes of the body to come; null: chunked. */
  #left: number | null = 0;

  constructor(seen: SeenRequest[], faults: string[], done: (request: SeenRequest) => void) {
    this.#seen = seen;
    this.#faults = faults;
    this.#done = done;
  }

  take(text: string): void {
    this.#text += text;
    while (this.#request === null ? this.#readHead() : this.#readBody());
  }

  #readHead(): boolean {
    const end = this.#text.indexOf(HEAD_END);
    if (end < 0) return false;
    const [line = "", ...lines] = this.#text.slice(0, end).split("\r\n");
    this.#text = this.#text.slice(end + HEAD_END.length);
    const fields = lines.map(readField);
    const request: SeenRequest = { line, fields, body: "", trailers: [], complete: false };
    this.#seen.push(request);
    this.#request = request;
    const lengths = fields.filter((field) => field.startsWith("content-length:"));
    const codings = fields.filter((field) => field.startsWith("transfer-encoding:"));
    if (!/^[!-~]+ [!-~]+ HTTP\/1\.1$/.test(line)) this.#faults.push(`request line: ${JSON.stringify(line)}`);
    if (/[\r\n\0]/.test(lines.join(""))) this.#faults.push(`control characters: ${JSON.stringify(lines)}`);
    if (lengths.length + codings.length > 1) this.#faults.push(`framing: ${[...lengths, ...codings]}`);
    this.#left = codings.length > 0 ? null : Number(lengths[0]?.split(": ")[1] ?? 0);
    return true;
  }

  #readBody(): boolean {
    const request = this.#request as SeenRequest;
    if (this.#left === null) return this.#readChunk(request);
    const part = this.#text.slice(0, this.#left);
    request.body += part;
    this.#left -= part.length;
    this.#text = this.#text.slice(part.length);
    return this.#left === 0 && this.#complete(request);
  }

  #readChunk(request: SeenRequest): boolean {
    const lineEnd = this.#text.indexOf("\r\n");
    if (lineEnd < 0) return false;
    const size = Number.parseInt(this.#text.slice(0, lineEnd), 16);
    if (size === 0) {
      const end = this.#text.indexOf(HEAD_END, lineEnd);
      if (end < 0) return false;
      const lines = this.#text.slice(lineEnd + 2, end).split("\r\n");
      request.trailers = lines.filter((line) => line !== "").map(readField);
      this.#text = this.#text.slice(end + HEAD_END.length);
      return this.#complete(request);
    }
    const end = lineEnd + 2 + size;
    if (this.#text.length < end + 2) return false;
    request.body += this.#text.slice(lineEnd + 2, end);
    this.#text = this.#text.slice(end + 2);
    return true;
  }

  #complete(request: SeenRequest): true {
    request.complete = true;
    this.#request = null;
    this.#done(request);
    return true;
  }
}

function readField(line: string): string {
  const colon = line.indexOf(":");
  return `${line.slice(0, colon).toLowerCase()}: ${line.slice(colon + 1).trim()}`;
}
