// Finds where a header or trailer section ends while it comes in, in pieces of any size. No byte is searched twice, and
// no more than the limit is held.
import { CR, isToken, LF } from "./characters.ts";

/** What `read` answers in place of an offset: all was taken and more is needed. */
export const INCOMPLETE = -1;
/** The section is larger than the limit. */
export const TOO_LARGE = -2;
/** What comes can never become a valid section; the connection has no next message. */
export const NOT_HTTP = -3;

const END = Buffer.from("\r\n\r\n", "latin1");
/** Bytes first set aside for a section that comes in pieces. */
const FIRST_HELD = 1024;

export class SectionReader {
  /** The section, Latin-1, without its closing empty line, once `read` has answered an offset. */
  text = "";
  readonly #limit: number;
  readonly #emptyLines: number;
  /** What has come of an incomplete section. */
  #held: Buffer | null = null;
  #length = 0;
  #skipped = 0;

  /**
   * @param limit bytes, with the closing empty line
   * @param emptyLines how many are passed over before a section (RFC 9112, 2.2)
   */
  constructor(limit: number, emptyLines: number) {
    this.#limit = limit;
    this.#emptyLines = emptyLines;
  }

  /** Part of a section has come. */
  get started(): boolean {
    return this.#held !== null;
  }

  /** The section read last; it is not kept. */
  take(): string {
    const { text } = this;
    this.text = "";
    return text;
  }

  /** @returns where the section ends in `buffer`; or one of the negative answers above */
  read(buffer: Buffer, offset: number): number {
    if (this.#held !== null) return this.#readOn(this.#held, buffer, offset);
    const start = this.#skipEmptyLines(buffer, offset);
    if (start === buffer.length) return INCOMPLETE;
    if (start === NOT_HTTP || !canStart(buffer, start)) return NOT_HTTP;
    const at = indexOfEnd(buffer, start, start + this.#limit);
    if (at !== -1) return this.#found(buffer, start, at, at + END.length);
    const rest = buffer.length - start;
    if (rest >= this.#limit) return TOO_LARGE;
    if (hasBareLf(buffer, start, start)) return NOT_HTTP;
    this.#held = Buffer.allocUnsafeSlow(Math.min(this.#limit, Math.max(FIRST_HELD, 2 * rest)));
    this.#length = buffer.copy(this.#held, 0, start);
    return INCOMPLETE;
  }

  #readOn(held: Buffer, buffer: Buffer, offset: number): number {
    const before = this.#length;
    if (before === 1 && held[0] === CR) {
      const end = this.#readAgain(Buffer.concat([held.subarray(0, 1), buffer.subarray(offset)]));
      return end < 0 ? end : end - 1 + offset;
    }
    const length = Math.min(this.#limit, before + buffer.length - offset);
    const all = this.#grown(held, length);
    this.#length = before + buffer.copy(all, before, offset, offset + length - before);
    const seen = Math.max(0, before - END.length + 1);
    const at = indexOfEnd(all, seen, length);
    if (at !== -1) return this.#found(all, 0, at, at + END.length - before + offset);
    if (length === this.#limit) return TOO_LARGE;
    return hasBareLf(all.subarray(0, length), before, 0) ? NOT_HTTP : INCOMPLETE;
  }

  /** A single CR was held: now it shows whether it belongs to an empty line before the section. */
  #readAgain(joined: Buffer): number {
    this.#held = null;
    return this.read(joined, 0);
  }

  #found(buffer: Buffer, start: number, end: number, next: number): number {
    this.text = buffer.toString("latin1", start, end);
    this.#held = null;
    this.#skipped = 0;
    return next;
  }

  #grown(held: Buffer, length: number): Buffer {
    if (length <= held.length) return held;
    const larger = Buffer.allocUnsafeSlow(Math.min(this.#limit, 2 * length));
    held.copy(larger, 0, 0, this.#length);
    this.#held = larger;
    return larger;
  }

  /** @returns the first byte behind them; NOT_HTTP when there are too many */
  #skipEmptyLines(buffer: Buffer, offset: number): number {
    let start = offset;
    while (buffer[start] === CR && buffer[start + 1] === LF) {
      if (this.#skipped === this.#emptyLines) return NOT_HTTP;
      this.#skipped += 1;
      start += 2;
    }
    return start;
  }
}

/** A section starts with a token; a lone CR may still become an empty line. */
const canStart = (buffer: Buffer, start: number): boolean =>
  isToken(buffer[start] as number) || (buffer[start] === CR && start + 1 === buffer.length);

function indexOfEnd(buffer: Buffer, start: number, bound: number): number {
  const within = bound < buffer.length ? buffer.subarray(0, bound) : buffer;
  return within.indexOf(END, start);
}

/** Looks from `start` on; `first` is where the section starts. */
function hasBareLf(buffer: Buffer, start: number, first: number): boolean {
  let at = buffer.indexOf(LF, start);
  while (at !== -1) {
    if (at === first || buffer[at - 1] !== CR) return true;
    at = buffer.indexOf(LF, at + 1);
  }
  return false;
}
