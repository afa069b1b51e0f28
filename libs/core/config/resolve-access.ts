// Who may use a route, with every default filled in.
import type { RouteDocument } from "./schema.ts";

export type RouteAccess = object;

export const resolveAccess = (_route: RouteDocument): RouteAccess => ({});
