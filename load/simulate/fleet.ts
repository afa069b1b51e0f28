// The backends: each serves `slots` requests at once, the others wait in the order they came. A backend may change its
// speed (grey failure) or appear late (cold join). A request keeps the speed its service began with.
import type { Timeline } from "./timeline.ts";

export interface BackendSpec {
  slots: number;
  /** A request takes its demand ÷ speed. */
  speed: number;
  /** From the end of the warm-up on, ms. */
  turns?: { atMs: number; speed: number };
  /** It exists from then on, ms after the end of the warm-up; absent: from the start. */
  joinsAtMs?: number;
}

export interface Request {
  readonly gateway: number;
  readonly arrivedMs: number;
  readonly demandMs: number;
  /** When a gateway sent it to a backend. */
  sentMs: number;
}

export interface Backend {
  readonly index: number;
  readonly id: string;
  readonly slots: number;
  speed: number;
  present: boolean;
  busy: number;
  readonly queue: Request[];
}

export interface Fleet {
  readonly backends: readonly Backend[];
  send(request: Request, backend: Backend): void;
}

export interface FleetOptions {
  specs: readonly BackendSpec[];
  timeline: Timeline;
  warmupMs: number;
  finished(request: Request, backend: Backend): void;
  /** A backend appeared or changed its speed. */
  changed(): Promise<void> | undefined;
}

export function createFleet({ specs, timeline, warmupMs, finished, changed }: FleetOptions): Fleet {
  const backends = specs.map(backendOf);

  const serve = (request: Request, backend: Backend) => {
    backend.busy += 1;
    timeline.after(request.demandMs / backend.speed, () => {
      backend.busy -= 1;
      const next = backend.queue.shift();
      if (next) serve(next, backend);
      finished(request, backend);
      return undefined;
    });
  };

  specs.forEach((spec, i) => {
    const backend = backends[i] as Backend;
    const happens = (atMs: number, change: () => void) =>
      timeline.after(warmupMs + atMs, () => {
        change();
        return changed();
      });
    const { turns, joinsAtMs } = spec;
    if (turns) {
      happens(turns.atMs, () => {
        backend.speed = turns.speed;
      });
    }
    if (joinsAtMs !== undefined) {
      happens(joinsAtMs, () => {
        backend.present = true;
      });
    }
  });

  return {
    backends,
    send(request, backend) {
      request.sentMs = timeline.nowMs;
      if (backend.busy < backend.slots) serve(request, backend);
      else backend.queue.push(request);
    },
  };
}

const backendOf = (spec: BackendSpec, index: number): Backend => ({
  index,
  id: `backend-${String(index + 1).padStart(5, "0")}`,
  slots: spec.slots,
  speed: spec.speed,
  present: spec.joinsAtMs === undefined,
  busy: 0,
  queue: [],
});

/** How much demand it can serve per unit of time, before anything changes. */
export const capacity = (specs: readonly BackendSpec[]): number =>
  specs.reduce((sum, s) => sum + (s.joinsAtMs === undefined ? s.slots * s.speed : 0), 0);

/** The least factor that makes a whole number of every speed, since weights are whole numbers. */
export const weightScale = (specs: readonly BackendSpec[]): number =>
  1 / Math.min(...specs.flatMap((s) => (s.turns ? [s.speed, s.turns.speed] : [s.speed])));
