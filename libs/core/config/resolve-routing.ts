// How a route is matched and what it does, with every default filled in.
import type { RouteDocument } from "./schema.ts";

export interface RouteRouting {
  match: { host: string | null; path: string };
}

export const resolveRouting = (route: RouteDocument): RouteRouting => ({
  match: { host: route.match.host?.toLowerCase() ?? null, path: route.match.path ?? "/*" },
});
