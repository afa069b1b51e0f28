import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Attempted,
  attemptedBy,
  type BreakerState,
  createBreaker,
  createBreakers,
  REFUSED,
} from "./breaker.ts";

const SETTINGS = { failures: 5, windowMs: 10_000, openMs: 2_000 };

function setUp(mayOpen = true) {
  const time = { nowMs: 1_000_000 };
  const changes: BreakerState[] = [];
  const breaker = createBreaker({
    settings: SETTINGS,
    clock: () => time.nowMs,
    mayOpen: () => mayOpen,
    onChange: (_, to) => changes.push(to),
  });
  const attempts = (n: number, attempted: Attempted) => {
    for (let i = 0; i < n; i += 1) breaker.ended(breaker.admit(), attempted);
    return breaker.state;
  };
  return { time, changes, breaker, attempts };
}

describe("a breaker", () => {
  it("opens after so many attempts in a row that found no connection, and then lets none through", () => {
    const { breaker, attempts, changes } = setUp();
    expect(attempts(4, "unconnected")).toBe("closed");
    expect(attempts(1, "unconnected")).toBe("open");
    expect(breaker.admit()).toBe(REFUSED);
    expect(changes).toEqual(["open"]);
  });

  it("counts a row anew after an attempt that was connected, whatever came of it", () => {
    for (const other of ["connected", "failed"] as const) {
      const { attempts } = setUp();
      for (let i = 0; i < 3; i += 1) {
        attempts(4, "unconnected");
        attempts(1, other);
      }
      expect(attempts(4, "unconnected"), other).toBe("closed");
      expect(attempts(1, "unconnected"), other).toBe("open");
    }
  });

  it("learns nothing from attempts that say nothing of the backend", () => {
    const { attempts } = setUp();
    attempts(4, "unconnected");
    attempts(100, "unknown");
    expect(attempts(1, "unconnected")).toBe("open");
    expect(setUp().attempts(1_000, "unknown")).toBe("closed");
  });

  it("opens where half of at least 20 attempts within the window have failed", () => {
    const { attempts, time } = setUp();
    attempts(10, "connected");
    expect(attempts(9, "failed")).toBe("closed");
    expect(attempts(1, "failed")).toBe("open");
    const few = setUp();
    expect(few.attempts(19, "failed")).toBe("closed");
    expect(few.attempts(1, "failed")).toBe("open");
    const slow = setUp();
    for (let i = 0; i < 200; i += 1) {
      slow.time.nowMs += 600; // fewer than 20 in any 10 s
      expect(slow.attempts(1, "failed")).toBe("closed");
    }
    expect(time.nowMs).toBe(1_000_000);
  });

  it("does not open for failed answers where it may not, but always where nothing connects", () => {
    const { attempts } = setUp(false);
    expect(attempts(100, "failed")).toBe("closed");
    expect(attempts(5, "unconnected")).toBe("open");
  });

  it("lets one attempt through after its time, and closes when that is connected", () => {
    const { breaker, attempts, time, changes } = setUp();
    attempts(5, "unconnected");
    time.nowMs += SETTINGS.openMs - 1;
    expect(breaker.admit()).toBe(REFUSED);
    time.nowMs += 1;
    const probe = breaker.admit();
    expect(probe).not.toBe(REFUSED);
    for (let i = 0; i < 10; i += 1) expect(breaker.admit()).toBe(REFUSED);
    breaker.ended(probe, "connected");
    expect(changes).toEqual(["open", "half-open", "closed"]);
    expect(breaker.admit()).not.toBe(REFUSED);
    expect(attempts(4, "unconnected")).toBe("closed");
  });

  it("that has closed again remembers nothing of what had opened it", () => {
    const { breaker, attempts, time } = setUp();
    expect(attempts(20, "failed")).toBe("open");
    time.nowMs += SETTINGS.openMs;
    expect(attempts(1, "connected")).toBe("closed");
    expect(attempts(19, "failed")).toBe("closed");
    expect(breaker.admit()).not.toBe(REFUSED);
  });

  it.each(["failed", "unconnected"] as const)("opens again for as long when that one is %s", (attempted) => {
    const { breaker, attempts, time } = setUp();
    attempts(5, "unconnected");
    time.nowMs += SETTINGS.openMs;
    breaker.ended(breaker.admit(), attempted);
    expect(breaker.state).toBe("open");
    time.nowMs += SETTINGS.openMs - 1;
    expect(breaker.admit()).toBe(REFUSED);
    time.nowMs += 1;
    expect(breaker.admit()).not.toBe(REFUSED);
  });

  it("lets another through when that one says nothing", () => {
    const { breaker, attempts, time } = setUp();
    attempts(5, "unconnected");
    time.nowMs += SETTINGS.openMs;
    breaker.ended(breaker.admit(), "unknown");
    expect(breaker.state).toBe("half-open");
    expect(breaker.admit()).not.toBe(REFUSED);
  });

  it("does not take what ends late for what its single attempt has found", () => {
    const { breaker, attempts, time } = setUp();
    const [early, earlier] = [breaker.admit(), breaker.admit()];
    attempts(5, "unconnected");
    breaker.ended(early, "connected");
    expect(breaker.state).toBe("open");
    time.nowMs += SETTINGS.openMs;
    const probe = breaker.admit();
    breaker.ended(earlier, "unconnected");
    expect(breaker.state).toBe("half-open");
    breaker.ended(probe, "connected");
    breaker.ended(probe, "unconnected");
    expect(breaker.state).toBe("closed");
  });

  it("keeps its promises whatever happens in whatever order", () => {
    const event = fc.oneof(
      { weight: 4, arbitrary: fc.constant("admit" as const) },
      {
        weight: 4,
        arbitrary: fc.record({
          which: fc.nat(1_000),
          attempted: fc.constantFrom<Attempted>("connected", "failed", "unconnected", "unknown"),
        }),
      },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 3_000 }) },
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 300, size: "max" }), (events) => {
        const { breaker, time, changes } = setUp();
        const under: { ticket: number; state: BreakerState }[] = [];
        let openedMs = Number.NEGATIVE_INFINITY;
        for (const what of events) {
          if (typeof what === "number") time.nowMs += what;
          else if (what === "admit") {
            const before = breaker.state;
            const ticket = breaker.admit();
            if (before === "closed") expect(ticket).not.toBe(REFUSED);
            if (before === "open") expect(ticket === REFUSED).toBe(time.nowMs - openedMs < SETTINGS.openMs);
            if (ticket !== REFUSED) under.push({ ticket, state: breaker.state });
          } else if (under.length > 0) {
            const [{ ticket }] = under.splice(what.which % under.length, 1) as [(typeof under)[number]];
            const before = breaker.state;
            breaker.ended(ticket, what.attempted);
            if (before !== "open" && breaker.state === "open") openedMs = time.nowMs;
            if (before === "open") expect(breaker.state).toBe("open");
          }
          if (breaker.state === "half-open") {
            const probes = under.filter(
              ({ state, ticket }) =>
                state === "half-open" && ticket === Math.max(...under.map((u) => u.ticket)),
            );
            expect(probes.length).toBeLessThanOrEqual(1);
          }
        }
        for (const [i, to] of changes.entries()) {
          if (to === "half-open") expect(changes[i - 1]).toBe("open");
          if (to === "closed") expect(changes[i - 1]).toBe("half-open");
        }
      }),
    );
  });
});

describe("the breakers of a pool", () => {
  const backends = (...ids: string[]) => ids.map((id) => ({ id, url: `http://${id}` }));

  function pool(...ids: string[]) {
    const changes: string[] = [];
    const breakers = createBreakers({
      settings: SETTINGS,
      clock: () => 1_000,
      onChange: (backend, state) => changes.push(`${backend} ${state}`),
    });
    breakers.configure(backends(...ids));
    const attempts = (id: string, n: number, attempted: Attempted) => {
      const breaker = breakers.of(id);
      for (let i = 0; i < n; i += 1) breaker?.ended(breaker.admit(), attempted);
      return breaker?.state;
    };
    return { breakers, changes, attempts };
  }

  it("are one for each backend, and say when they change", () => {
    const { breakers, changes, attempts } = pool("a", "b");
    expect(attempts("a", 5, "unconnected")).toBe("open");
    expect(breakers.of("b")?.state).toBe("closed");
    expect(breakers.of("ghost")).toBeNull();
    expect([breakers.open, changes]).toEqual([1, ["a open"]]);
  });

  it("open for failed answers on half of the pool at most, as a request that all fail at must not close it", () => {
    const { breakers, attempts } = pool("a", "b", "c", "d", "e");
    const states = ["a", "b", "c", "d", "e"].map((id) => attempts(id, 50, "failed"));
    expect(states).toEqual(["open", "open", "closed", "closed", "closed"]);
    expect(breakers.open).toBe(2);
    expect(pool("only").attempts("only", 100, "failed")).toBe("closed");
  });

  it("open on all of them where nothing connects", () => {
    const { breakers, attempts } = pool("a", "b", "c");
    for (const id of ["a", "b", "c"]) expect(attempts(id, 5, "unconnected")).toBe("open");
    expect(breakers.open).toBe(3);
  });

  it("stay with backends that stay, and begin anew with a new address", () => {
    const { breakers, attempts, changes } = pool("a", "b", "c");
    attempts("a", 5, "unconnected");
    attempts("b", 5, "unconnected");
    const dropped = breakers.of("c");
    breakers.configure([...backends("a"), { id: "b", url: "http://elsewhere" }]);
    expect([breakers.of("a")?.state, breakers.of("b")?.state, breakers.of("c")]).toEqual([
      "open",
      "closed",
      null,
    ]);
    expect(breakers.open).toBe(1);
    for (let i = 0; i < 5; i += 1) dropped?.ended(dropped.admit(), "unconnected");
    expect([breakers.open, changes]).toEqual([1, ["a open", "b open"]]);
  });
});

describe("what a fault says of a backend", () => {
  it("is that it cannot be connected to, that it fails, or nothing", () => {
    expect(attemptedBy("refused")).toBe("unconnected");
    expect(attemptedBy("connect-timeout")).toBe("unconnected");
    expect(attemptedBy("headers-timeout")).toBe("failed");
    for (const fault of ["stale", "unprocessed", "exhausted", "dropped"] as const)
      expect(attemptedBy(fault)).toBe("unknown");
  });
});
