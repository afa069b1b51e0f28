// The path that a backend sees in place of the client's. What comes out is checked again like what came in, so that no
// rewrite makes a path that somebody reads as another one.
import type { ProxiedRoute } from "@evenkeel/core/config/resolve.ts";
import type { Rewrite } from "@evenkeel/core/config/resolve-routing.ts";
import { compileCapturing } from "@evenkeel/core/regex/regex.ts";
import { isCanonicalPath, MAX_TARGET_LENGTH, type Target } from "./target.ts";

/** Path and query for the backend; null: the path cannot be rewritten to a valid one. */
export type RewriteTarget = (target: Pick<Target, "path" | "forwarded">) => string | null;

/** Null: the route leaves paths as they are. */
export function compileRewrite({ rewrite }: ProxiedRoute): RewriteTarget | null {
  const rewritten = rewrite === null ? null : pathRewrite(rewrite);
  if (rewritten === null) return null;
  return ({ path, forwarded }) => {
    const made = rewritten(path);
    if (made === path) return forwarded;
    if (!isSafe(made)) return null;
    const target = made + forwarded.slice(path.length);
    return target.length > MAX_TARGET_LENGTH ? null : target;
  };
}

/** A path that begins with // reads as a host to whoever takes it for a reference. */
const isSafe = (path: string): boolean => isCanonicalPath(path) && !path.startsWith("//");

function pathRewrite({
  stripPrefix,
  addPrefix,
  path: fixed,
  regex,
}: Rewrite): ((path: string) => string) | null {
  if (fixed !== null) return () => fixed;
  if (regex !== null) {
    const { regex: pattern } = compileCapturing(regex.pattern);
    const replacement = substitution(regex.substitution);
    return (path) => path.replace(pattern, replacement);
  }
  const strip = stripPrefix ?? "";
  const add = addPrefix ?? "";
  return strip === "" && add === "" ? null : (path) => add + withoutPrefix(path, strip) || "/";
}

/** `$1` to `$9` and `$$`; nothing else that the platform's own language of replacements knows has a meaning here. */
function substitution(text: string): (match: string, ...groups: unknown[]) => string {
  const parts = text.split(/(\$[$1-9])/).map((part) => {
    if (part === "$$") return "$";
    return /^\$[1-9]$/.test(part) ? Number(part[1]) : part;
  });
  return (_, ...groups) =>
    parts
      .map((part) => (typeof part === "string" ? part : ((groups[part - 1] as string | undefined) ?? "")))
      .join("");
}

/** Whole segments only: /api is no prefix of /apis. A path without the prefix stays as it is. */
function withoutPrefix(path: string, prefix: string): string {
  if (prefix === "" || !path.startsWith(prefix)) return path;
  return path.length === prefix.length || path[prefix.length] === "/" ? path.slice(prefix.length) : path;
}
