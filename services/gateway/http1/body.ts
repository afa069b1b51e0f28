// Reads a message's body as its framing tells (RFC 9112, 6 and 7), from pieces of any size. Strict where laxity lets
// two readers disagree on where a message ends. Hands on parts of what it is given; copies nothing.
import type { Fields } from "../messages/fields.ts";
import { CR, isToken, isValue, LF } from "./characters.ts";
import { readTrailers } from "./head.ts";
import { NOT_HTTP, SectionReader, TOO_LARGE } from "./section.ts";

/** Hexadecimal digits of a chunk's size: it can be counted, and no row of zeros goes on for ever. */
const MAX_SIZE_DIGITS = 12;
/** Characters of all chunk extensions of one body; they are ignored, but must not outweigh it without end. */
const MAX_EXTENSIONS = 16 * 1024;
/** Bytes of a trailer section. */
const MAX_TRAILER_BYTES = 8 * 1024;
/** Fields of a trailer section. */
const MAX_TRAILERS = 100;

const SIZE = 0;
const EXTENSION_NAME = 1;
const EXTENSION_VALUE = 2;
const QUOTED = 3;
const ESCAPED = 4;
const QUOTED_END = 5;
const SIZE_LF = 6;
const DATA = 7;
const DATA_CR = 8;
const DATA_LF = 9;
const TRAILER_START = 10;
const LAST_LF = 11;
const TRAILER = 12;
const PLAIN = 13;
const OVER = 14;

const SEMICOLON = 59;
const EQUALS = 61;
const QUOTE = 34;
const BACKSLASH = 92;

export interface BodySink {
  /** @returns false to stop behind this chunk: the rest is not read */
  onBody(chunk: Buffer): boolean;
}

export class BodyReader {
  /** Why the body cannot be understood. Where it ends is then unknown for good. */
  fault: string | null = null;
  /** Of a chunked body that is done; null: it has none. */
  trailers: Fields | null = null;
  #state = OVER;
  /** Bytes of the body, or of the chunk, still to come. */
  #left = 0;
  #digits = 0;
  /** Characters of the extension's name or value so far. */
  #part = 0;
  #extensions = 0;
  #section: SectionReader | null = null;

  /** The whole body has come. */
  get done(): boolean {
    return this.#state === OVER;
  }

  /** Whether it is certain that so many further bytes of the connection do not complete the body. */
  needsMoreThan(bytes: number): boolean {
    if (this.#state === OVER) return false;
    return this.#state === PLAIN ? this.#left > bytes : bytes === 0;
  }

  /** @param length bytes; Infinity, where it is not chunked: until the connection is closed */
  begin(length: number, chunked: boolean): void {
    this.fault = null;
    this.trailers = null;
    this.#section = null;
    this.#extensions = 0;
    this.#left = chunked ? 0 : length;
    this.#digits = 0;
    this.#state = chunked ? SIZE : length > 0 ? PLAIN : OVER;
  }

  /** The connection is closed. @returns whether that completes the body */
  close(): boolean {
    if (this.#state === PLAIN && this.#left === Number.POSITIVE_INFINITY) this.#state = OVER;
    return this.#state === OVER;
  }

  /**
   * Reads on until the body is done, faulty, or the sink wants no more.
   * @returns the first byte that was not read
   */
  read(buffer: Buffer, offset: number, sink: BodySink): number {
    let at = offset;
    while (at < buffer.length && this.#state !== OVER && this.fault === null) {
      if (this.#state === DATA || this.#state === PLAIN) {
        const end = Math.min(buffer.length, at + this.#left);
        const chunk = at === 0 && end === buffer.length ? buffer : buffer.subarray(at, end);
        this.#left -= end - at;
        at = end;
        if (this.#left === 0) this.#state = this.#state === PLAIN ? OVER : DATA_CR;
        if (!sink.onBody(chunk)) break;
      } else if (this.#state === TRAILER) {
        at = this.#readTrailers(buffer, at);
      } else if (this.#state === TRAILER_START && buffer[at] !== CR) {
        this.#section = new SectionReader(MAX_TRAILER_BYTES, 0);
        this.#state = TRAILER;
      } else {
        this.#take(buffer[at] as number);
        at += 1;
      }
    }
    return at;
  }

  /** One byte of what stands around the chunks. */
  #take(byte: number): void {
    switch (this.#state) {
      case SIZE:
        this.#takeSize(byte);
        break;
      case EXTENSION_NAME:
      case EXTENSION_VALUE:
      case QUOTED:
      case ESCAPED:
      case QUOTED_END:
        this.#extensions += 1;
        if (this.#extensions > MAX_EXTENSIONS) this.fault = "its chunk extensions are too long";
        else this.#takeExtension(byte);
        break;
      case DATA_CR:
        this.#expect(byte, CR, DATA_LF);
        break;
      case DATA_LF:
        this.#expect(byte, LF, SIZE);
        break;
      case SIZE_LF:
        this.#expect(byte, LF, this.#left === 0 ? TRAILER_START : DATA);
        this.#digits = 0;
        break;
      case TRAILER_START:
        this.#expect(byte, CR, LAST_LF);
        break;
      case LAST_LF:
        this.#expect(byte, LF, OVER);
    }
  }

  #expect(byte: number, wanted: number, next: number): void {
    if (byte === wanted) this.#state = next;
    else this.fault = "a chunk does not end where its size says";
  }

  #takeSize(byte: number): void {
    const digit = hexValue(byte);
    if (digit !== -1) {
      this.#digits += 1;
      if (this.#digits > MAX_SIZE_DIGITS) this.fault = "a chunk's size has too many digits";
      this.#left = this.#left * 16 + digit;
    } else if (this.#digits === 0) {
      this.fault = "a chunk has no valid size";
    } else if (!this.#endsExtension(byte)) {
      this.fault = "a chunk has no valid size";
    }
  }

  /** Grammar: `;name`, `;name=value` or `;name="quoted"`, any number of them, without blanks. */
  #takeExtension(byte: number): void {
    const first = this.#part === 0;
    this.#part += 1;
    if (this.#state === QUOTED) {
      if (byte === QUOTE) this.#state = QUOTED_END;
      else if (byte === BACKSLASH) this.#state = ESCAPED;
      else if (!isValue(byte)) this.fault = BAD_EXTENSION;
    } else if (this.#state === ESCAPED) {
      if (isValue(byte)) this.#state = QUOTED;
      else this.fault = BAD_EXTENSION;
    } else if (this.#state === QUOTED_END) {
      if (!this.#endsExtension(byte)) this.fault = BAD_EXTENSION;
    } else if (first && byte === QUOTE && this.#state === EXTENSION_VALUE) {
      this.#state = QUOTED;
    } else if (!isToken(byte)) {
      const named = !first && this.#state === EXTENSION_NAME && byte === EQUALS;
      if (named) {
        this.#state = EXTENSION_VALUE;
        this.#part = 0;
      } else if (first || !this.#endsExtension(byte)) {
        this.fault = BAD_EXTENSION;
      }
    }
  }

  #endsExtension(byte: number): boolean {
    if (byte === CR) this.#state = SIZE_LF;
    else if (byte === SEMICOLON) this.#state = EXTENSION_NAME;
    else return false;
    this.#part = 0;
    return true;
  }

  #readTrailers(buffer: Buffer, offset: number): number {
    const section = this.#section as SectionReader;
    const next = section.read(buffer, offset);
    if (next === TOO_LARGE) this.fault = "its trailers are too large";
    if (next === NOT_HTTP) this.fault = "its trailers are not valid";
    if (next < 0) return buffer.length;
    const trailers: Fields = [];
    this.fault = readTrailers(section.text, trailers, MAX_TRAILERS);
    this.#section = null;
    this.trailers = trailers;
    if (this.fault === null) this.#state = OVER;
    return next;
  }
}

const BAD_EXTENSION = "a chunk extension is not valid";

/** @returns -1 for no hexadecimal digit */
function hexValue(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const letter = byte | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}
