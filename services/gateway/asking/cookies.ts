// The Cookie header (RFC 6265, 4.2): one pair looked up, or taken out. Values are taken as they are written.

/** Of the first cookie of that name; null for none. */
export function cookieValue(header: string | undefined, name: string): string | null {
  if (header === undefined) return null;
  for (let start = 0; start < header.length; ) {
    const semicolon = header.indexOf(";", start);
    const end = semicolon === -1 ? header.length : semicolon;
    const sign = header.indexOf("=", start);
    if (sign !== -1 && sign < end && header.slice(start, sign).trim() === name)
      return header.slice(sign + 1, end).trim();
    start = end + 1;
  }
  return null;
}

/** The header without every cookie of that name; null when nothing is left. */
export function withoutCookie(header: string, name: string): string | null {
  const kept = header.split(";").filter((pair) => pair.split("=", 1)[0]?.trim() !== name);
  return kept.join(";").trim() || null;
}
