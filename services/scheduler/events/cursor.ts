// Where a reader of all pools' logs stands. Every pool has a log of its own, in a Redis Cluster on a server with a clock
// of its own, so a time is no place to go on from; nor is a list of 1,000 pools with their last ids a cursor that fits
// into a URL. So it is both: a base time, and the last id seen of each pool that had something after the base.
//
// Pools that are not listed stand at the base. That loses nothing as long as no entry is added at or before the base
// any more: the base stays `LAG_MAX_MS` behind the newest entry seen, and so the clocks of the servers may be so far
// apart. No clock of a scheduler or client has a part in it. A cursor is all there is: schedulers keep nothing of it, and
// each understands those of the others.
import { hash } from "node:crypto";

/** How far the clocks of Redis servers may be apart, less the few seconds that a change may go unnoticed. */
export const LAG_MAX_MS = 120_000;
/** A request's line and headers have 16 KiB; ten bytes each, in Base64. */
export const LISTED_MAX = 1_000;
const CURSOR_LENGTH_MAX = 15_000;
const FORMAT = 1;
const KEY_BYTES = 5;
/** More than any number that a log gives within one millisecond. */
const LAST = Number.POSITIVE_INFINITY;
const LAST_TEXT = "18446744073709551615";

/** An entry's place in its log; `n` is `Infinity` behind all of that millisecond. */
export interface Place {
  ms: number;
  n: number;
}

export interface Cursor {
  baseMs: number;
  /** Key of a pool → behind which entry. */
  listed: ReadonlyMap<number, Place>;
}

/** Before everything. */
export const BEGINNING: Cursor = { baseMs: 0, listed: new Map() };

/** @param ms entries of this time and later follow */
export const cursorFrom = (ms: number): Cursor => ({
  baseMs: Math.max(0, Math.trunc(ms) - 1),
  listed: new Map(),
});

export function placeOf(id: string): Place {
  const [ms, n = "0"] = id.split("-");
  const number = Number(n);
  return { ms: Number(ms), n: Number.isSafeInteger(number) ? number : LAST };
}

/** As the ledger takes it; null: from the log's beginning. */
export function idOf({ ms, n }: Place): string | null {
  if (n === 0) return String(ms);
  return ms === 0 && n === LAST ? null : `${ms}-${n === LAST ? LAST_TEXT : n}`;
}

export const compare = (a: Place, b: Place): number => a.ms - b.ms || (a.n === b.n ? 0 : a.n - b.n);

export const standing = (cursor: Cursor, pool: string): Place =>
  cursor.listed.get(keyOf(pool)) ?? { ms: cursor.baseMs, n: LAST };

/**
 * The cursor after reading.
 * @param places of the pools that were read: behind the last entry that was given, or passed over
 * @param unread pools that could not be read: they keep their place
 */
export function advanced(
  cursor: Cursor,
  places: ReadonlyMap<string, Place>,
  unread: Iterable<string> = [],
): Cursor {
  let newestMs = 0;
  for (const { ms } of places.values()) newestMs = Math.max(newestMs, ms);
  const baseMs = Math.max(cursor.baseMs, newestMs - LAG_MAX_MS);
  const listed = new Map<number, Place>();
  // Also those of pools that are gone for now: one that returns is not told from its beginning.
  for (const [key, place] of cursor.listed) if (place.ms > baseMs) listed.set(key, place);
  for (const [pool, place] of places) {
    if (place.ms > baseMs) listed.set(keyOf(pool), place);
    else listed.delete(keyOf(pool));
  }
  for (const pool of unread)
    if (standing(cursor, pool).ms < baseMs) listed.set(keyOf(pool), standing(cursor, pool));
  return { baseMs, listed };
}

export function encodeCursor({ baseMs, listed }: Cursor): string {
  const bytes = [FORMAT];
  write(bytes, baseMs);
  const newest = [...listed].sort(([, a], [, b]) => compare(b, a)).slice(0, LISTED_MAX);
  for (const [key, { ms, n }] of newest) {
    for (let i = KEY_BYTES - 1; i >= 0; i -= 1) bytes.push(Math.floor(key / 256 ** i) % 256);
    const away = ms - baseMs;
    write(bytes, away < 0 ? -2 * away - 1 : 2 * away);
    write(bytes, n === LAST ? 0 : n + 1);
  }
  return Buffer.from(bytes).toString("base64url");
}

/** Null for what is no cursor. */
export function decodeCursor(text: string): Cursor | null {
  if (text.length > CURSOR_LENGTH_MAX || !/^[\w-]+$/.test(text)) return null;
  const bytes = Buffer.from(text, "base64url");
  if (bytes[0] !== FORMAT) return null;
  const reader = { bytes, at: 1 };
  const baseMs = read(reader);
  const listed = new Map<number, Place>();
  while (reader.at < bytes.length) {
    if (reader.at + KEY_BYTES > bytes.length) return null;
    const key = bytes.readUIntBE(reader.at, KEY_BYTES);
    reader.at += KEY_BYTES;
    const away = read(reader);
    const n = read(reader);
    const ms = baseMs + (away % 2 === 1 ? -(away + 1) / 2 : away / 2);
    if (!Number.isSafeInteger(n)) return null;
    listed.set(key, { ms, n: n === 0 ? LAST : n - 1 });
  }
  const whole = [baseMs, ...[...listed.values()].map(({ ms }) => ms)].every(
    (ms) => Number.isSafeInteger(ms) && ms >= 0,
  );
  return whole ? { baseMs, listed } : null;
}

/** Seven bits a byte, the lowest first. */
function write(bytes: number[], value: number): void {
  let left = value;
  while (left >= 128) {
    bytes.push((left % 128) + 128);
    left = Math.floor(left / 128);
  }
  bytes.push(left);
}

/** NaN where the bytes end too early. */
function read(reader: { bytes: Buffer; at: number }): number {
  let value = 0;
  for (let factor = 1; ; factor *= 128) {
    const byte = reader.bytes[reader.at];
    if (byte === undefined) return Number.NaN;
    reader.at += 1;
    value += (byte % 128) * factor;
    if (byte < 128) return value;
  }
}

const keys = new Map<string, number>();
const KEYS_MAX = 4_096;

/** Forty bits of a digest: in one of two million clusters of 1,000 pools two pools share one. */
function keyOf(pool: string): number {
  const known = keys.get(pool);
  if (known !== undefined) return known;
  if (keys.size >= KEYS_MAX) keys.clear();
  const key = hash("sha256", pool, "buffer").readUIntBE(0, KEY_BYTES);
  keys.set(pool, key);
  return key;
}
