// Deadlines of many connections by one coarse timer: on the path of a request setting one costs an addition, where a
// timer of its own would be made and thrown away for each.

/** How late a deadline may be noticed. */
export const TICK_MS = 250;

export interface Timed {
  /** Tick at which `onDeadline` is due; 0: none. */
  deadline: number;
  /** The deadline has passed, and was set to 0. */
  onDeadline(): void;
}

/** One for each open connection: the bounds of the listeners are its bound. */
const watched = new Set<Timed>();
let tick = 1;
let timer: NodeJS.Timeout | null = null;

/** The tick that is at least this long away. */
export const tickAfter = (ms: number): number => tick + 1 + Math.ceil(ms / TICK_MS);

export function watch(timed: Timed): void {
  watched.add(timed);
  timer ??= setInterval(sweep, TICK_MS).unref();
}

export function unwatch(timed: Timed): void {
  watched.delete(timed);
  if (watched.size > 0 || timer === null) return;
  clearInterval(timer);
  timer = null;
}

function sweep(): void {
  tick += 1;
  for (const timed of watched) {
    if (timed.deadline === 0 || timed.deadline > tick) continue;
    timed.deadline = 0;
    timed.onDeadline();
  }
}
