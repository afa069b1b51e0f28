// Reads an answer of HTTP/1.1 as it arrives: status, framing, and of the body no more than asked for. Text is latin1,
// one character per byte.

/** Of status lines and headers, interim answers included. */
export const HEAD_MAX_BYTES = 16 * 1024;
const CHUNK_LINE_MAX_BYTES = 1_024;
const HEAD_END = "\r\n\r\n";
const PROTOCOL = "HTTP/1.";

type Phase = "head" | "counted" | "chunk size" | "chunk" | "chunk end" | "until close" | "over";

export class HttpAnswer {
  /** 0 until it is known. */
  status = 0;
  /** At most as long as asked for. */
  body = "";
  readonly #bodyMaxBytes: number;
  readonly #headOnly: boolean;
  #phase: Phase = "head";
  #rest = "";
  #searched = 0;
  #headBytes = 0;
  /** Of the body, or of the chunk. */
  #leftBytes = 0;

  /** @param headOnly no body follows, whatever the headers say */
  constructor(bodyMaxBytes: number, headOnly: boolean) {
    this.#bodyMaxBytes = bodyMaxBytes;
    this.#headOnly = headOnly;
  }

  /** Nothing more is wanted: the answer is complete, or its body as long as asked for. */
  get over(): boolean {
    return this.#phase === "over";
  }

  /** @throws for what is no such answer */
  feed(text: string): void {
    this.#rest = this.#rest === "" ? text : this.#rest + text;
    while (this.#phase !== "over" && this.#step());
  }

  /** The other side has closed. @throws when the answer is not complete */
  close(): void {
    if (this.#phase === "until close") this.#phase = "over";
    if (this.#phase !== "over") throw new Error("closed before the answer was complete");
  }

  /** False: more bytes are needed. */
  #step(): boolean {
    switch (this.#phase) {
      case "head":
        return this.#readHead();
      case "counted":
        return this.#take("over");
      case "chunk size":
        return this.#readChunkSize();
      case "chunk":
        return this.#take("chunk end");
      case "chunk end":
        return this.#readChunkEnd();
      case "until close":
        this.#leftBytes = this.#rest.length;
        this.#take("until close");
        return false;
      case "over":
        return false;
    }
  }

  #readHead(): boolean {
    const rest = this.#rest;
    if (!PROTOCOL.startsWith(rest.slice(0, PROTOCOL.length))) throw new Error("not HTTP");
    const end = rest.indexOf(HEAD_END, this.#searched);
    if (this.#headBytes + (end < 0 ? rest.length : end) > HEAD_MAX_BYTES)
      throw new Error("headers too large");
    if (end < 0) {
      this.#searched = Math.max(0, rest.length - HEAD_END.length + 1);
      return false;
    }
    this.#rest = rest.slice(end + HEAD_END.length);
    this.#searched = 0;
    this.#headBytes += end + HEAD_END.length;
    const head = rest.slice(0, end + 2);
    const status = Number(/^HTTP\/1\.[01] (\d{3})[ \r]/.exec(head)?.[1] ?? 0);
    if (status < 100) throw new Error("not HTTP");
    if (status < 200 && status !== 101) return true;
    this.status = status;
    this.#phase = this.#framing(head);
    return true;
  }

  #framing(head: string): Phase {
    if (this.#headOnly || this.status < 200 || this.status === 204 || this.status === 304) return "over";
    const coding = /\r\ntransfer-encoding:([^\r\n]*)/i.exec(head)?.[1];
    if (coding !== undefined) return /(^|[,\s])chunked\s*$/i.test(coding) ? "chunk size" : "until close";
    const length = /\r\ncontent-length:[ \t]*([^\r\n]*)/i.exec(head)?.[1];
    if (length === undefined) return "until close";
    if (!/^\d{1,15}[ \t]*$/.test(length)) throw new Error("malformed content-length");
    this.#leftBytes = Number(length);
    return this.#leftBytes === 0 ? "over" : "counted";
  }

  #readChunkSize(): boolean {
    const end = this.#rest.indexOf("\r\n");
    if (end > CHUNK_LINE_MAX_BYTES || (end < 0 && this.#rest.length > CHUNK_LINE_MAX_BYTES))
      throw new Error("malformed chunk");
    if (end < 0) return false;
    const size = /^([0-9a-f]{1,8})[ \t]*(;|$)/i.exec(this.#rest.slice(0, end))?.[1];
    if (size === undefined) throw new Error("malformed chunk");
    this.#rest = this.#rest.slice(end + 2);
    this.#leftBytes = Number.parseInt(size, 16);
    this.#phase = this.#leftBytes === 0 ? "over" : "chunk";
    return true;
  }

  #readChunkEnd(): boolean {
    if (this.#rest.length < 2) return false;
    if (!this.#rest.startsWith("\r\n")) throw new Error("malformed chunk");
    this.#rest = this.#rest.slice(2);
    this.#phase = "chunk size";
    return true;
  }

  /** Moves what has come of the body; at its end goes on with `next`. */
  #take(next: Phase): boolean {
    const part = this.#rest.slice(0, this.#leftBytes);
    this.#rest = this.#rest.slice(part.length);
    this.#leftBytes -= part.length;
    this.body += part.slice(0, this.#bodyMaxBytes - this.body.length);
    if (this.body.length >= this.#bodyMaxBytes) this.#phase = "over";
    else if (this.#leftBytes === 0) this.#phase = next;
    else return false;
    return true;
  }
}
