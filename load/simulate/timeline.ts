// Virtual time: what is to happen, in order of time, and of asking where the times are equal. A binary heap in three
// parallel arrays, since a run puts tens of millions of events through it.

/** What happens may have to be awaited (the ledger is asynchronous); virtual time stands still meanwhile. */
export type Act = () => undefined | Promise<void>;

export interface Timeline {
  readonly nowMs: number;
  after(delayMs: number, act: Act): void;
  /** Until nothing is left to happen. */
  run(): Promise<void>;
}

export function createTimeline(): Timeline {
  const times: number[] = [];
  const orders: number[] = [];
  const acts: Act[] = [];
  let nowMs = 0;
  let asked = 0;

  const place = (at: number, time: number, order: number, act: Act) => {
    times[at] = time;
    orders[at] = order;
    acts[at] = act;
  };
  const move = (from: number, to: number) =>
    place(to, times[from] as number, orders[from] as number, acts[from] as Act);
  const isBefore = (i: number, time: number, order: number) =>
    (times[i] as number) < time || (times[i] === time && (orders[i] as number) < order);

  const push = (time: number, act: Act) => {
    const order = asked++;
    let at = times.length;
    times.push(time);
    orders.push(order);
    acts.push(act);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (isBefore(parent, time, order)) break;
      move(parent, at);
      at = parent;
    }
    place(at, time, order, act);
  };

  const pop = (): Act => {
    const first = acts[0] as Act;
    nowMs = times[0] as number;
    const time = times.pop() as number;
    const order = orders.pop() as number;
    const act = acts.pop() as Act;
    const size = times.length;
    if (size === 0) return first;
    let at = 0;
    for (let child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && isBefore(child + 1, times[child] as number, orders[child] as number))
        child += 1;
      if (!isBefore(child, time, order)) break;
      move(child, at);
      at = child;
    }
    place(at, time, order, act);
    return first;
  };

  return {
    get nowMs() {
      return nowMs;
    },
    after(delayMs, act) {
      push(nowMs + delayMs, act);
    },
    async run() {
      while (times.length > 0) {
        const pending = pop()();
        if (pending) await pending;
      }
    },
  };
}
