// Which bytes may stand where in HTTP/1 (RFC 9110, 5.5 and 5.6.2; RFC 9112, 3.2): one table, looked up by character
// code. Texts are Latin-1, one character for each byte; whatever lies outside of that is in no class.

const TOKEN = 1;
const VALUE = 2;
const TARGET = 4;

const CLASSES = new Uint8Array(256);
for (let code = 0x21; code < 256; code += 1) {
  if (code === 0x7f) continue;
  CLASSES[code] = code < 0x80 ? VALUE | TARGET : VALUE;
}
CLASSES[0x20] = VALUE;
CLASSES[0x09] = VALUE;
for (const character of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  const code = character.charCodeAt(0);
  CLASSES[code] = (CLASSES[code] as number) | TOKEN;
}

export const CR = 13;
export const LF = 10;
export const SPACE = 32;
export const TAB = 9;

/** Part of a method or of a field name. */
export const isToken = (code: number): boolean => ((CLASSES[code] as number) & TOKEN) !== 0;

/** Part of a field value: no control character but the tab. */
export const isValue = (code: number): boolean => ((CLASSES[code] as number) & VALUE) !== 0;

/** The first place from `start` to `end` that is no part of a token; `end` where there is none. */
export function tokenEnd(text: string, start: number, end: number): number {
  let i = start;
  while (i < end && ((CLASSES[text.charCodeAt(i)] as number) & TOKEN) !== 0) i += 1;
  return i;
}

/** The first place from `start` to `end` that is no part of a field value; `end` where there is none. */
export function valueEnd(text: string, start: number, end: number): number {
  let i = start;
  while (i < end && ((CLASSES[text.charCodeAt(i)] as number) & VALUE) !== 0) i += 1;
  return i;
}

/** The first place from `start` to `end` that no target holds raw (a space, what is not ASCII); `end`: there is none. */
export function targetEnd(text: string, start: number, end: number): number {
  let i = start;
  while (i < end && ((CLASSES[text.charCodeAt(i)] as number) & TARGET) !== 0) i += 1;
  return i;
}
