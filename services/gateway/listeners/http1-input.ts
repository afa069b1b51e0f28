// What has come of a connection and is not wanted yet; while there is enough of it, the socket is paused.
import type { Socket } from "node:net";
import type { BodyReader, BodySink } from "../http1/body.ts";
import type { SectionReader } from "../http1/section.ts";
import { lend, takeBack } from "../messages/lending.ts";

/** Bytes with which the socket is paused. One read, of 64 KiB, may come on top. */
const READ_AHEAD_BYTES = 16 * 1024;

export class Input {
  readonly #socket: Socket;
  /** Null: nothing. */
  #bytes: Buffer | null = null;
  #offset = 0;
  /** A part of the bytes was handed on before, and may still be needed. */
  #shared = false;
  #flowing = true;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get length(): number {
    return this.#bytes === null ? 0 : this.#bytes.length - this.#offset;
  }

  get empty(): boolean {
    return this.#bytes === null;
  }

  add(chunk: Buffer): void {
    this.#bytes = this.#bytes === null ? chunk : Buffer.concat([this.#bytes.subarray(this.#offset), chunk]);
    this.#offset = 0;
    this.#shared = false;
  }

  /** @returns whether a section has come, or why it cannot */
  readSection(reader: SectionReader): number {
    if (this.#bytes === null) return 0;
    const next = reader.read(this.#bytes, this.#offset);
    this.#moveTo(next < 0 ? this.#bytes.length : next);
    return next;
  }

  readBody(reader: BodyReader, sink: BodySink): void {
    const bytes = this.#bytes;
    if (bytes === null) return;
    const before = this.#shared;
    this.#shared = true;
    lend(bytes);
    const next = reader.read(bytes, this.#offset, sink);
    const last = next === bytes.length && !before;
    this.#moveTo(next);
    if (last) takeBack(bytes);
  }

  /** All of it; null: nothing. */
  take(): Buffer | null {
    const bytes = this.#bytes;
    this.#bytes = null;
    return bytes === null || this.#offset === 0 ? bytes : bytes.subarray(this.#offset);
  }

  clear(): void {
    this.#bytes = null;
  }

  /** To be called when what is held has changed. */
  flow(): void {
    const flowing = this.#bytes === null || this.length < READ_AHEAD_BYTES;
    if (flowing === this.#flowing) return;
    this.#flowing = flowing;
    if (flowing) this.#socket.resume();
    else this.#socket.pause();
  }

  /** Unless it was cleared meanwhile: whoever is handed a part may end the connection. */
  #moveTo(next: number): void {
    if (this.#bytes === null) return;
    this.#offset = next;
    if (next >= this.#bytes.length) this.#bytes = null;
  }
}
