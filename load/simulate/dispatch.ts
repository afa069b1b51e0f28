// What the engine asks of whoever decides: given each arrival, they send it to a backend, now or later.
import type { Random } from "./chance.ts";
import type { Backend, Fleet, Request } from "./fleet.ts";
import type { Timeline } from "./timeline.ts";

export interface Dispatch {
  arrived(request: Request): void;
  /** Its slot is free again. */
  finished(request: Request, backend: Backend): void;
  /** A backend appeared or changed its speed. */
  changed(): Promise<void> | undefined;
}

export interface World {
  timeline: Timeline;
  fleet: Fleet;
  gateways: number;
  random: Random;
  /** A backend's weight in the configuration, a whole number from 1. */
  weightOf(backend: Backend): number;
  /** No backend may take it. */
  refuse(): void;
  /** Nothing arrives any more. */
  isOver(): boolean;
}
