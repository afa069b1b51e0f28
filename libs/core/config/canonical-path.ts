// One spelling for each path (RFC 3986, 6.2.2): characters that never need an escape have none, the digits of the
// others are in upper case. Routes and requests are both brought to it, so that another spelling is not another route.

/** Letters, digits and - . _ ~ behind a percent sign; or digits in lower case. */
const OTHER_SPELLING =
  /%(?:2[deDE]|3[0-9]|[46][1-9a-fA-F]|5[0-9aAfF]|7[0-9aAeE]|[0-9A-F][a-f]|[a-f][0-9A-Fa-f])/;
const ESCAPE = /%([0-9A-Fa-f]{2})/g;
const UNRESERVED = /[A-Za-z0-9\-._~]/;

/** @param path with valid escapes */
export const canonicalPath = (path: string): string =>
  OTHER_SPELLING.test(path) ? path.replaceAll(ESCAPE, respelled) : path;

function respelled(written: string, digits: string): string {
  const character = String.fromCharCode(Number.parseInt(digits, 16));
  return UNRESERVED.test(character) ? character : written.toUpperCase();
}
