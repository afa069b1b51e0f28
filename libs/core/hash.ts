// FNV-1a, 32 bits, over UTF-16 units: the same in every process and every release. Spreads names; no secret depends on it.
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
