// The Cookie header (RFC 6265, 4.2): pairs of one name looked up, or taken out; and the name that Set-Cookie sets.
// Values are taken as they are written.

/** Of the first cookie of that name; null for none. */
export const cookieValue = (header: string | undefined, name: string): string | null =>
  cookieValues(header, name, 1)[0] ?? null;

/** Of the first `most` cookies of that name: a browser sends one for each path and domain it was set for. */
export function cookieValues(header = "", name: string, most: number): string[] {
  const values: string[] = [];
  for (let start = 0; start < header.length && values.length < most; ) {
    const semicolon = header.indexOf(";", start);
    const end = semicolon === -1 ? header.length : semicolon;
    const sign = header.indexOf("=", start);
    if (sign !== -1 && sign < end && header.slice(start, sign).trim() === name)
      values.push(header.slice(sign + 1, end).trim());
    start = end + 1;
  }
  return values;
}

/** The header without every cookie of that name; null when nothing is left. */
export function withoutCookie(header: string, name: string): string | null {
  const kept = header.split(";").filter((pair) => pair.split("=", 1)[0]?.trim() !== name);
  return kept.join(";").trim() || null;
}

/** Whether this Set-Cookie value sets, or deletes, the cookie of that name. */
export const setsCookie = (value: string, name: string): boolean =>
  value.split(/[=;]/, 1)[0]?.trim() === name;
