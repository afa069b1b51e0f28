// What listeners offer below HTTP, with every default filled in.
import type { ListenerDocument } from "./schema.ts";

export type ListenerStreams = object;

export const resolveListenerStreams = (_listener: ListenerDocument): ListenerStreams => ({});
