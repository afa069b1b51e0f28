// Which listeners a worker must let go of before the first process opens others: a port that one process still accepts
// on cannot be opened anew with another protocol or address. Pure.
import type { ConfigDocument, ListenerDocument } from "@evenkeel/core/config/schema.ts";

/** The present configuration without the listeners that the next one drops; null: it drops none. */
export function withoutDropped(present: ConfigDocument, next: ConfigDocument): ConfigDocument | null {
  const kept = new Set(next.listeners.map(keyOf));
  const listeners = present.listeners.filter((listener) => kept.has(keyOf(listener)));
  return listeners.length === present.listeners.length ? null : { ...present, listeners };
}

/** Listeners that have it in common are one that changes while it is open. */
const keyOf = ({ name, protocol, address, port }: ListenerDocument): string =>
  `${protocol}|${address ?? "0.0.0.0"}|${port === 0 ? name : port}`;
