import { describe, expect, it } from "vitest";
import { createRegistrationDesk } from "./registration.ts";
import { collectAnswers } from "./test-support/answers.ts";
import { handTimers } from "./test-support/hand-timers.ts";
import { memoryRegistrations } from "./test-support/registrations.ts";

const TTL_MS = 10_000;
const backend = (id: string) => ({ id, url: `http://${id}:80` });

/** A desk that is looked after by hand. @param known to the pools before @param maxBackends of each */
function scene(pools: Record<string, string[]> = { shop: [] }, maxBackends = 100) {
  const registrations = memoryRegistrations();
  const { timers, pass, delaysMs } = handTimers();
  const scheduler: { agoMs: number | null } = { agoMs: null };
  const desk = createRegistrationDesk(registrations, async () => scheduler.agoMs, timers);
  const watch = (pool: string, known: string[]) => {
    const seen = collectAnswers(known.map(backend), pool);
    const settings = { allow: ["10.0.0.0/8"], ttlMs: TTL_MS, maxBackends };
    return { ...seen, running: desk.watch(settings, seen.start) };
  };
  const watching = Object.fromEntries(
    Object.entries(pools).map(([pool, known]) => [pool, watch(pool, known)]),
  );
  return {
    registrations,
    scheduler,
    desk,
    delaysMs,
    shop: watching.shop as ReturnType<typeof watch>,
    till: watching.till as ReturnType<typeof watch>,
    /** So much time passes, a look each second. */
    async seconds(count: number) {
      for (let i = 0; i < count; i++) {
        await watching.shop?.until("between looks", () => delaysMs().length > 0);
        registrations.nowMs += 1_000;
        const { looks } = registrations;
        pass(1_000);
        await watching.shop?.until("looked", () => registrations.looks > looks && delaysMs().length > 0);
      }
    },
  };
}

describe("the registration desk", () => {
  it("tells who is registered in each pool, within a second", async () => {
    const { registrations, shop, till, seconds } = scene({ shop: [], till: [] });
    await registrations.put("shop", backend("b"), TTL_MS);
    await registrations.put("shop", backend("a"), TTL_MS);
    await registrations.put("till", backend("t"), TTL_MS);
    await seconds(1);
    expect(shop.last()).toEqual({ ok: true, backends: [backend("a"), backend("b")], rejected: [] });
    expect(till.ids()).toEqual(["t"]);
  });

  it("looks at once when it is told, for pools that it watches", async () => {
    const { registrations, shop, desk } = scene();
    await shop.until("looked first", () => shop.answers.length > 0);
    await registrations.put("shop", backend("a"), TTL_MS);
    desk.onRegistration("shop");
    await shop.until("told", () => shop.ids()?.join() === "a");
    const { looks } = registrations;
    desk.onRegistration("elsewhere");
    expect(registrations.looks).toBe(looks);
  });

  it("misses who was not renewed, and not when nobody could be", async () => {
    const { registrations, shop, seconds } = scene();
    await registrations.put("shop", backend("a"), TTL_MS);
    await registrations.put("shop", backend("b"), TTL_MS);
    await seconds(8);
    await registrations.put("shop", backend("a"), TTL_MS);
    await seconds(1);
    expect(shop.ids()).toEqual(["a", "b"]);
    await seconds(1);
    expect(shop.ids()).toEqual(["a"]);
    await seconds(30);
    expect(shop.ids()).toEqual(["a"]);
  });

  it("keeps everyone for one more TTL when Redis lost all", async () => {
    const { registrations, shop, seconds, desk } = scene();
    for (const id of ["a", "b"]) await registrations.put("shop", backend(id), TTL_MS);
    await seconds(1);
    registrations.lose();
    await registrations.put("shop", backend("a"), TTL_MS);
    desk.onRegistration("shop");
    await seconds(9);
    await registrations.put("shop", backend("a"), TTL_MS);
    expect(shop.ids()).toEqual(["a", "b"]);
    await seconds(2);
    expect(shop.ids()).toEqual(["a"]);
  });

  it("gives whom it knows from another desk one TTL to be heard of", async () => {
    const { registrations, shop, seconds } = scene({ shop: ["a", "b"] });
    await seconds(9);
    await registrations.put("shop", backend("a"), TTL_MS);
    expect(shop.ids()).toEqual(["a", "b"]);
    await seconds(2);
    expect(shop.ids()).toEqual(["a"]);
    expect(shop.answers.every((answer) => answer.ok && answer.backends.length > 0)).toBe(true);
  });

  it("fails while Redis does, and forgets nobody over it", async () => {
    const { registrations, shop, seconds } = scene();
    await registrations.put("shop", backend("a"), 3_600_000);
    await seconds(1);
    registrations.fail("redis is away");
    await seconds(1);
    expect(shop.reason()).toBe("redis is away");
    registrations.fail(null);
    await seconds(1);
    expect(shop.ids()).toEqual(["a"]);
  });

  it("takes no more than it is told to", async () => {
    const { registrations, shop, seconds } = scene({ shop: [] }, 2);
    for (const id of ["c", "a", "b"]) await registrations.put("shop", backend(id), TTL_MS);
    await seconds(1);
    expect(shop.last()).toEqual({
      ok: true,
      backends: [backend("a"), backend("b")],
      rejected: [{ what: "c", reason: "more than 2 backends are registered (maxBackends)" }],
    });
  });

  it("looks no more once nobody watches", async () => {
    const { shop, seconds, delaysMs } = scene();
    await seconds(1);
    shop.running.stop();
    expect(delaysMs()).toEqual([]);
  });

  it("strikes out the only one there is, once schedulers were there for all of its time", async () => {
    const { registrations, scheduler, shop, seconds } = scene();
    scheduler.agoMs = 500;
    await registrations.put("shop", backend("a"), TTL_MS);
    await seconds(2);
    await registrations.put("shop", backend("a"), TTL_MS);
    await seconds(10);
    expect(shop.ids()).toEqual(["a"]);
    await seconds(1);
    expect(shop.ids()).toEqual([]);
  });

  it("keeps the only one there is while nobody could have renewed it", async () => {
    const { registrations, scheduler, shop, seconds } = scene();
    scheduler.agoMs = 500;
    await registrations.put("shop", backend("a"), TTL_MS);
    await seconds(2);
    scheduler.agoMs = null;
    await seconds(3);
    scheduler.agoMs = 500;
    await seconds(20);
    expect(shop.ids()).toEqual(["a"]);
  });

  it("keeps several that all stopped at the same time: it is likelier that they cannot register", async () => {
    const { registrations, scheduler, shop, seconds } = scene();
    scheduler.agoMs = 500;
    await seconds(1);
    for (const id of ["a", "b"]) await registrations.put("shop", backend(id), TTL_MS);
    await seconds(30);
    expect(shop.ids()).toEqual(["a", "b"]);
  });
});
