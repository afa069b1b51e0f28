import type { ConfigStore } from "@evenkeel/ledger/config-store.ts";
import type { StoredConfig } from "@evenkeel/runtime/config-watch.ts";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { createLogs } from "../test-support/logs.ts";
import { BEGINNING, type Cursor, cursorFrom, decodeCursor, encodeCursor, LAG_MAX_MS } from "./cursor.ts";
import { createLogTail, type EventQuery, type LogTail } from "./tail.ts";

const NOW_MS = 1_790_000_000_000;
/** How often a tail looks for what it was not told of. */
const POLL_MS = 2_000;
const POOLS = ["shop", "billing", "spare"];

const configsOf = (pools: readonly string[]): Pick<ConfigStore, "versions" | "read"> => ({
  versions: async () => ({ version: 1, documentVersion: 1 }),
  read: async () =>
    ({ documentVersion: 1, written: { pools: pools.map((name) => ({ name })) } }) as unknown as StoredConfig,
});

const asked = (more: Partial<EventQuery> = {}): EventQuery => ({
  pool: null,
  wanted: () => true,
  limit: 100,
  ...more,
});

function scene(pools = POOLS) {
  const logs = createLogs(pools);
  const open = () => createLogTail({ ledger: logs, configs: configsOf(pools), clock: () => NOW_MS });
  const tail = open();
  onTestFinished(() => tail.end());
  return { logs, open, tail };
}

/** A client's next request: all it has is the cursor. */
const passed = (cursor: Cursor): Cursor => decodeCursor(encodeCursor(cursor)) as Cursor;

async function drain(tail: LogTail, from: Cursor, query = asked()) {
  const ids: string[] = [];
  let cursor = from;
  for (;;) {
    const page = await tail.read(passed(cursor), query);
    ids.push(...page.events.map(({ id }) => id));
    cursor = page.cursor;
    if (!page.more) return { ids, cursor };
  }
}

describe("the newest events", () => {
  it("are the last of all pools, by time, and what comes after is told next", async () => {
    const { logs, tail } = scene();
    const ids = Array.from({ length: 30 }, (_, i) => logs.append(POOLS[i % 3] as string, NOW_MS - 3_000 + i));
    const page = await tail.newest(asked({ limit: 10 }));
    expect(page.events.map(({ id }) => id)).toEqual(ids.slice(-10));
    expect(page.more).toBe(false);
    const next = logs.append("spare", NOW_MS);
    tail.changed("spare");
    expect((await drain(tail, page.cursor)).ids).toEqual([next]);
  });

  it.each([60_000, LAG_MAX_MS * 3, 30 * 86_400_000])(
    "are found where they are %d ms old, and what comes next is told alone",
    async (ageMs) => {
      const { logs, tail } = scene();
      const old = logs.append("shop", NOW_MS - ageMs);
      const page = await tail.newest(asked({ limit: 10 }));
      expect(page.events.map(({ id }) => id)).toEqual([old]);
      const next = logs.append("billing", NOW_MS);
      tail.changed("billing");
      expect((await drain(tail, page.cursor)).ids).toEqual([next]);
    },
  );

  it("are of one pool, or of those that are wanted", async () => {
    const { logs, tail } = scene();
    logs.append("shop", NOW_MS - 2);
    const wanted = logs.append("billing", NOW_MS - 1, { on: false });
    expect((await tail.newest(asked({ pool: "billing" }))).events.map(({ id }) => id)).toEqual([wanted]);
    const over = asked({ wanted: (event) => event.type === "panic" && !event.on });
    expect((await tail.newest(over)).events.map(({ id }) => id)).toEqual([wanted]);
  });
});

describe("reading on", () => {
  it("gives those since a time, the oldest first, page by page", async () => {
    const { logs, tail } = scene();
    logs.append("shop", NOW_MS - 1);
    const ids = Array.from({ length: 25 }, (_, i) => logs.append(POOLS[i % 3] as string, NOW_MS + i));
    const page = await tail.read(cursorFrom(NOW_MS), asked({ limit: 10 }));
    expect([page.events.length, page.more]).toEqual([10, true]);
    const { ids: rest } = await drain(tail, page.cursor, asked({ limit: 10 }));
    expect([...page.events.map(({ id }) => id), ...rest]).toEqual(ids);
  });

  it("passes over what is not wanted, also where that is much more than a page", async () => {
    const { logs, tail } = scene();
    for (let i = 0; i < 900; i += 1) logs.append("shop", NOW_MS + i);
    const wanted = logs.append("shop", NOW_MS + 1_000, { on: false });
    const query = asked({ limit: 2, wanted: (event) => event.type === "panic" && !event.on });
    expect((await drain(tail, BEGINNING, query)).ids).toEqual([wanted]);
  });

  it("reads no log again of which it knows that nothing was added", async () => {
    const { logs, tail } = scene();
    logs.append("shop", NOW_MS);
    const { cursor } = await drain(tail, BEGINNING);
    const { reads } = logs;
    await drain(tail, cursor);
    expect(logs.reads).toBe(reads);
    logs.append("billing", NOW_MS);
    tail.changed("billing");
    await drain(tail, cursor);
    expect(logs.reads).toBe(reads + 1);
  });

  it("goes on without pools whose server does not answer, names them, and tells of them later", async () => {
    const { logs, tail } = scene();
    const { cursor } = await drain(tail, cursorFrom(NOW_MS));
    logs.down.add("shop");
    const missed = logs.append("shop", NOW_MS + 1);
    const told = logs.append("billing", NOW_MS + 5 * LAG_MAX_MS);
    tail.gap();
    const page = await tail.read(cursor, asked());
    expect([page.events.map(({ id }) => id), page.unread]).toEqual([[told], ["shop"]]);
    logs.down.clear();
    expect((await drain(tail, page.cursor)).ids).toEqual([missed]);
  });

  it("is refused when no log at all can be read", async () => {
    const { logs, tail } = scene();
    for (const pool of POOLS) logs.down.add(pool);
    await expect(tail.read(BEGINNING, asked())).rejects.toMatchObject({ code: "redis_unavailable" });
    await expect(tail.newest(asked())).rejects.toMatchObject({ code: "redis_unavailable" });
  });
});

describe("a wait", () => {
  it("ends when a pool changed, when anything may have, at its time, and at the end", async () => {
    const { tail } = scene();
    await tail.read(BEGINNING, asked());
    const waits = () => {
      const wait = tail.wait(tail.version, 10_000);
      return wait.then(() => "woken");
    };
    for (const wake of [() => tail.changed("shop"), () => tail.gap()]) {
      const woken = waits();
      wake();
      expect(await woken).toBe("woken");
    }
    await tail.wait(tail.version, 1);
    const woken = waits();
    tail.end();
    expect(await woken).toBe("woken");
  });

  it("does not begin when something changed already", async () => {
    const { tail } = scene();
    await tail.read(BEGINNING, asked());
    const seen = tail.version;
    tail.changed("shop");
    await tail.wait(seen, 60_000);
  });

  it("ends though the event bus lost it, by a poll", async () => {
    const { logs, tail } = scene();
    const { cursor } = await drain(tail, BEGINNING);
    const wait = tail.wait(tail.version, 60_000);
    const id = logs.append("spare", NOW_MS);
    await wait;
    expect((await drain(tail, cursor)).ids).toEqual([id]);
  });
});

describe("a cursor out of the future", () => {
  it("keeps nobody else from hearing of what the event bus lost", async () => {
    const { logs, tail } = scene();
    await tail.read(cursorFrom(NOW_MS * 2), asked());
    const { cursor } = await drain(tail, BEGINNING);
    const wait = tail.wait(tail.version, 60_000);
    const id = logs.append("spare", NOW_MS);
    await wait;
    expect((await drain(tail, cursor)).ids).toEqual([id]);
  }, 8_000);
});

const pool = fc.integer({ min: 0, max: POOLS.length - 1 });
const action = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("append"),
      pool,
      told: fc.boolean(),
      afterMs: fc.oneof(fc.integer({ min: 0, max: POLL_MS - 1 }), fc.integer({ min: POLL_MS, max: 200_000 })),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("read"),
      scheduler: fc.nat(1),
      limit: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("down"), pool, down: fc.boolean() }) },
);

describe("following", () => {
  it("loses and repeats nothing, whatever is appended and read in between, by whichever scheduler, whatever clocks there are", async () => {
    const skews = fc.array(fc.integer({ min: 0, max: LAG_MAX_MS - 40 * POLL_MS }), {
      minLength: 3,
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(
        skews,
        fc.array(action, { maxLength: 40 }),
        fc.boolean(),
        async (skewMs, actions, newest) => {
          const { logs, open } = scene();
          const tails = [open(), open()];
          const told: string[] = [];
          let nowMs = NOW_MS;
          const first = newest ? await (tails[0] as LogTail).newest(asked()) : { cursor: BEGINNING };
          let cursor = first.cursor;
          for (const step of actions) {
            const name = "pool" in step ? (POOLS[step.pool] as string) : "";
            if ("afterMs" in step) {
              nowMs += step.afterMs;
              // In so long a time the poll would have looked at every pool.
              if (step.afterMs >= POLL_MS) for (const tail of tails) tail.gap();
              logs.append(name, nowMs - (skewMs[step.pool] as number));
              if (step.told) for (const tail of tails) tail.changed(name);
            } else if ("limit" in step) {
              const page = await (tails[step.scheduler] as LogTail)
                .read(passed(cursor), asked({ limit: step.limit }))
                .catch(() => null);
              told.push(...(page?.events.map(({ id }) => id) ?? []));
              cursor = page?.cursor ?? cursor;
            } else if (step.down) logs.down.add(name);
            else logs.down.delete(name);
          }
          logs.down.clear();
          tails[0]?.gap();
          told.push(...(await drain(tails[0] as LogTail, cursor)).ids);
          for (const tail of tails) tail.end();
          for (const name of POOLS) {
            const all = logs.logs.get(name)?.map(({ id }) => `${name}/${id}`);
            expect(told.filter((id) => id.startsWith(`${name}/`))).toEqual(all);
          }
        },
      ),
      { numRuns: 400 },
    );
  }, 30_000);
});
