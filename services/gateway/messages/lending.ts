// Gives the memory of what was read from a socket back as soon as all of it has been passed on. Left to the collector,
// large chunks cause most of its work, and each read touches memory that no cache holds any more.
// Whoever reads lends a chunk and hands parts of it on; whoever writes a part tells when nobody needs it any more; what
// nobody tells of, because it is kept, queued or copied elsewhere later, stays as it is. All of this happens within one
// call of the reader, so that there is one loan at a time: parts of any other memory are not counted.
import type { Socket } from "node:net";

/** Bytes. What is smaller is no burden to the collector. */
const RELEASED_FROM = 16 * 1024;

/** Null: nothing that could be given back. */
let lent: ArrayBufferLike | null = null;
/** Bytes of it that were handed on and may still be needed. */
let owed = 0;

/** The reader begins to hand on parts of a chunk, of which nobody else knows. */
export function lend(chunk: Buffer): void {
  lent = chunk.length >= RELEASED_FROM && isWhole(chunk) ? chunk.buffer : null;
  owed = 0;
}

/** The reader hands on a part of what it has lent. */
export function handOn(part: Buffer): void {
  owed += part.length;
}

/** The writer needs a part no more. Once for each that it was given, whoever it is of. */
export function settle(part: Buffer): void {
  if (lent !== null && part.buffer === lent) owed -= part.length;
}

/** As `settle`, where the system has taken all that was written. */
export function settleSent(part: Buffer, to: Socket): void {
  if (lent !== null && to.writableLength === 0) settle(part);
}

/** The reader has done with the chunk it has lent. With nothing owed, its memory is gone, and its length 0. */
export function takeBack(chunk: Buffer): void {
  if (lent !== null && owed === 0 && chunk.buffer === lent) free(chunk);
  lent = null;
}

/**
 * For a chunk that is passed on as it was read. Does nothing while any of it waits to be sent.
 * @param chunk read from a socket, which gives each its own memory; not to be used any more
 */
export function releaseSent(chunk: Buffer, to: Socket): void {
  if (chunk.length >= RELEASED_FROM && to.writableLength === 0 && isWhole(chunk)) free(chunk);
}

/** All of memory that is its own. */
const isWhole = ({ buffer, length }: Buffer): boolean =>
  buffer instanceof ArrayBuffer && buffer.byteLength === length;

function free({ buffer }: Buffer): void {
  (buffer as ArrayBuffer).transfer(0);
}
