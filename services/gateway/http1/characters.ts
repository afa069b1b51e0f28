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

/** The first place from `start` that is no part of a token; the length where there is none. */
export function tokenEnd(text: string, start: number): number {
  let i = start;
  while (i < text.length && isToken(text.charCodeAt(i))) i += 1;
  return i;
}

// Texts are looked through by patterns: character by character each one would cost a look-up of the method, since texts
// are put together and cut out in many ways.

/** Found in what cannot be a field value. */
const NO_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
/** Found in what cannot be a request target or an authority: a space, what is not ASCII. */
const NO_TARGET = /[^\x21-\x7e]/;

const TOKEN_ALONE = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

export const canBeToken = (text: string): boolean => TOKEN_ALONE.test(text);
export const canBeValue = (text: string): boolean => !NO_VALUE.test(text);
export const canBeTarget = (text: string): boolean => !NO_TARGET.test(text);
