// A fault in a configuration: where it is and, in one sentence, what is wrong.

export interface Problem {
  /** JSON pointer, such as /pools/0/backends/1/weight; "" is the whole document. */
  path: string;
  message: string;
}

/** A JSON pointer from its parts. */
export const pointer = (...parts: (string | number)[]): string =>
  parts.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");

/** The parts of a JSON pointer. */
export const pointerParts = (path: string): string[] =>
  path
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));

const SHOWN_CHARACTERS = 60;

/** A value as it may stand in a message: short, quoted, on one line. */
export function shown(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  const text = JSON.stringify(value);
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
}
