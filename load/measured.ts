// Pages of the documentation that hold what was measured: what stands between two marks is written by the program that
// measured it, so it cannot say anything else.

/** @throws when the page lacks its marks */
export function withMeasured(page: string, command: string, text: string): string {
  const begin = `<!-- measured: written by \`${command}\` -->`;
  const end = "<!-- end of what was measured -->";
  const from = page.indexOf(begin);
  const to = page.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error(`the page must hold ${begin} and, after it, ${end}`);
  return `${page.slice(0, from)}${begin}\n\n${text}\n\n${page.slice(to)}`;
}
