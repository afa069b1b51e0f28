import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Idle, IdleList } from "./idle-list.ts";

const IDLE_MS = 1_000;

class Entry implements Idle {
  older: Idle | null = null;
  newer: Idle | null = null;
  activeMs = 0;
  idle = 0;
  onIdle(): void {
    this.idle += 1;
  }
}

let nowMs = 0;
const clock = () => nowMs;
const pass = (ms: number) => {
  for (let i = 0; i < ms; i += 1) {
    nowMs += 1;
    vi.advanceTimersByTime(1);
  }
};

beforeEach(() => {
  nowMs = 0;
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("IdleList", () => {
  it("tells each entry once, when it was silent for that long", () => {
    const list = new IdleList<Entry>(clock, IDLE_MS);
    const [a, b] = [new Entry(), new Entry()];
    list.add(a);
    pass(400);
    list.add(b);
    pass(500);
    list.touch(a);
    pass(499);
    expect([a.idle, b.idle]).toEqual([0, 0]);
    pass(1);
    expect([a.idle, b.idle]).toEqual([0, 1]);
    pass(500);
    expect([a.idle, b.idle]).toEqual([1, 1]);
    pass(5_000);
    expect([a.idle, b.idle]).toEqual([1, 1]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("forgets whom it is told to, and keeps no timer for nobody", () => {
    const list = new IdleList<Entry>(clock, IDLE_MS);
    const entry = new Entry();
    list.add(entry);
    list.delete(entry);
    list.delete(entry);
    expect(vi.getTimerCount()).toBe(0);
    pass(2_000);
    expect(entry.idle).toBe(0);
    expect(list.oldest).toBe(null);
  });

  it("takes a shorter time for those who are silent already", () => {
    const list = new IdleList<Entry>(clock, 60_000);
    const entry = new Entry();
    list.add(entry);
    pass(300);
    list.idleMs = 500;
    pass(199);
    expect(entry.idle).toBe(0);
    pass(1);
    expect(entry.idle).toBe(1);
  });

  it("agrees with a list that looks at everybody", () => {
    const action = fc.record({
      who: fc.nat(5),
      what: fc.constantFrom("add", "touch", "delete"),
      waitMs: fc.nat(700),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const list = new IdleList<Entry>(clock, IDLE_MS);
        const entries = Array.from({ length: 6 }, () => new Entry());
        const active = new Map<number, number>();
        const told = entries.map(() => 0);
        for (const { who, what, waitMs } of actions) {
          const entry = entries[who] as Entry;
          if (what === "add" && !active.has(who)) list.add(entry);
          if (what === "touch" && active.has(who)) list.touch(entry);
          if (what === "delete") list.delete(entry);
          if (what === "delete") active.delete(who);
          else if (what === "add" ? !active.has(who) : active.has(who)) active.set(who, nowMs);
          const oldest = [...active].sort(([, a], [, b]) => a - b)[0];
          expect(list.oldest?.activeMs).toBe(oldest?.[1]);
          nowMs += waitMs;
          vi.advanceTimersByTime(waitMs);
          for (const [i, activeMs] of [...active]) {
            if (activeMs > nowMs - IDLE_MS) continue;
            active.delete(i);
            told[i] = (told[i] ?? 0) + 1;
          }
          expect(entries.map(({ idle }) => idle)).toEqual(told);
        }
        for (const entry of entries) list.delete(entry);
        expect(vi.getTimerCount()).toBe(0);
      }),
      { seed: 4711, numRuns: 300 },
    );
  });
});
