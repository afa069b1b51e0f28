import { describe, expect, it } from "vitest";
import { backend, documentOf, failure, good, poolOf, scene } from "./test-support/scene.ts";

const FILE = { file: { path: "/etc/shop.yaml" } };
const shop = documentOf(poolOf("shop", FILE));
const found = (...ids: string[]) => ({ shop: { file: ids.map(backend) } });
const SHOP_FILE = '{pool="shop",source="file"}';

/** One monitor that leads, with a pool whose backends come from a file. */
async function leader() {
  const { monitor, leading, ...rest } = scene();
  const one = monitor("one");
  one.configure(shop);
  await leading(one);
  return { one, monitor, leading, ...rest };
}

describe("discovery", () => {
  it("publishes what its sources find", async () => {
    const { one, store, wait } = await leader();
    one.say("shop", "file", good("a", "b"));
    await wait(100);
    expect(store.discovered).toEqual(found("a", "b"));
    expect(await one.metric("backends", SHOP_FILE)).toBe(2);
    expect(await one.metric("changes_total", SHOP_FILE)).toBe(1);
    expect(await one.metric("leading")).toBe(1);
    await wait(2_000);
    expect(await one.metric("answer_age_seconds", SHOP_FILE)).toBeGreaterThan(0.9);
  });

  it("begins with what can be used of what Redis has, whoever wrote it", async () => {
    const { monitor, leading, store } = scene();
    store.discovered = { shop: { file: [backend("a"), { id: 7, url: "http://b:80" }, "b", null] } } as never;
    const one = monitor("one");
    one.configure(shop);
    await leading(one);
    expect(one.known("shop", "file")).toEqual(["a"]);
    one.say("shop", "file", good("a", "b"));
    expect(await one.metric("backends", SHOP_FILE)).toBe(2);
  });

  it("is not led by a monitor that knows no configuration yet", async () => {
    const { monitor, leading, wait } = scene();
    const [lame, one] = [monitor("lame"), monitor("one")];
    await wait(2_000);
    one.configure(shop);
    await leading(one);
    expect(lame.discovery.leading).toBe(false);
  });

  it("forgets nothing for a monitor that does not understand the newest configuration", async () => {
    const { monitor, leading, store, wait } = scene();
    store.discovered = { ...found("a"), till: { file: [backend("t")] } };
    const one = monitor("one");
    one.configure(shop);
    one.discovery.behind();
    await leading(one);
    one.say("shop", "file", good("a", "b"));
    await wait(7_000);
    expect(store.discovered).toEqual({ ...found("a", "b"), till: { file: [backend("t")] } });
    one.configure(documentOf(poolOf("shop", FILE)));
    await wait(2_000);
    expect(store.discovered).toEqual(found("a", "b"));
  });

  it("gathers changes, and publishes a few times a second at most", async () => {
    const { one, store, wait } = await leader();
    for (let i = 0; i < 40; i++) {
      one.say("shop", "file", good(`b${i}`));
      await wait(50);
    }
    await wait(500);
    expect(store.discovered).toEqual(found("b39"));
    expect(store.publications).toBeLessThanOrEqual(10);
    expect(store.publications).toBeGreaterThanOrEqual(6);
  });

  it("changes nothing while a source fails, and says so once", async () => {
    const { one, store, wait } = await leader();
    one.say("shop", "file", good("a"));
    await wait(100);
    for (let i = 0; i < 5; i++) one.say("shop", "file", failure);
    await wait(500);
    expect(store.discovered).toEqual(found("a"));
    expect(await one.metric("failing", SHOP_FILE)).toBe(1);
    expect(one.lines.filter(({ level }) => level === "warn")).toEqual([
      {
        level: "warn",
        message: "discovery fails: what was found stays",
        fields: { pool: "shop", source: "file", reason: "away", backends: 1 },
      },
    ]);
    one.say("shop", "file", good("a"));
    expect(await one.metric("failing", SHOP_FILE)).toBe(0);
    expect(one.lines.at(-1)?.message).toBe("discovery works again");
    await wait(500);
    expect(store.publications).toBe(1);
  });

  it("keeps the last ones of a source that names none, or lets them go, as the pool says", async () => {
    const { one, store, wait } = await leader();
    one.say("shop", "file", good("a"));
    one.say("shop", "file", good());
    await wait(100);
    expect(store.discovered).toEqual(found("a"));
    expect(await one.metric("kept", SHOP_FILE)).toBe(1);
    expect(one.lines.at(-1)).toMatchObject({ level: "warn", message: expect.stringContaining("whenEmpty") });
    one.configure(documentOf(poolOf("shop", { ...FILE, whenEmpty: "empty" })));
    one.say("shop", "file", good());
    await wait(300);
    expect(store.discovered).toEqual(found());
    expect(await one.metric("kept", SHOP_FILE)).toBe(0);
  });

  it("names once what is left out, and counts it", async () => {
    const { one, wait } = await leader();
    one.configure(documentOf(poolOf("shop", FILE, [backend("a")])));
    const metadata = { id: "m", url: "http://169.254.169.254:80" };
    const answer = {
      ok: true as const,
      backends: [backend("a"), backend("b"), metadata],
      rejected: [{ what: "c", reason: "odd" }],
    };
    for (let i = 0; i < 3; i++) {
      one.say("shop", "file", answer);
      await wait(300);
    }
    const told = one.lines.filter(({ message }) => message === "a found backend is left out");
    expect(told.map(({ fields }) => (fields as { backend: string }).backend).toSorted()).toEqual([
      "a",
      "c",
      "m",
    ]);
    expect(await one.metric("left_out", SHOP_FILE)).toBe(3);
    one.say("shop", "file", good("b"));
    await wait(300);
    expect(await one.metric("left_out", SHOP_FILE)).toBeNull();
  });

  it("names a few of many that are left out", async () => {
    const { one, wait } = await leader();
    const rejected = Array.from({ length: 500 }, (_, i) => ({ what: `c${i}`, reason: "odd" }));
    one.say("shop", "file", { ok: true, backends: [], rejected });
    await wait(100);
    expect(one.lines.filter(({ message }) => message === "a found backend is left out")).toHaveLength(20);
    expect(one.lines.at(-1)).toMatchObject({
      message: "further found backends are left out",
      fields: { more: 480 },
    });
  });

  it("runs the sources of the configuration, each from when it is there until it is not", async () => {
    const { one, store, wait } = await leader();
    one.say("shop", "file", good("a"));
    expect(one.running()).toEqual(["shop/file"]);
    one.configure(
      documentOf(
        poolOf("shop", { ...FILE, dns: { name: "shop" } }),
        poolOf("till", { dns: { name: "till" } }),
      ),
    );
    expect(one.running()).toEqual(["shop/dns", "shop/file", "till/dns"]);
    expect(one.starts()).toBe(3);
    one.say("shop", "dns", good("d"));
    one.say("till", "dns", good("t"));
    await wait(300);
    expect(store.discovered).toEqual({
      shop: { file: [backend("a")], dns: [backend("d")] },
      till: { dns: [backend("t")] },
    });
    one.configure(documentOf(poolOf("shop", { dns: { name: "else" } })));
    expect(one.running()).toEqual(["shop/dns"]);
    expect(one.starts()).toBe(4);
    expect(one.known("shop", "dns")).toEqual(["d"]);
    await wait(6_000);
    expect(store.discovered).toEqual({ shop: { dns: [backend("d")] } });
    expect(await one.metric("backends", SHOP_FILE)).toBeNull();
  });

  it("is done by one monitor, and the other goes on from what was published when that one is gone", async () => {
    const { one, monitor, leading, store, wait } = await leader();
    const two = monitor("two");
    two.configure(shop);
    one.say("shop", "file", good("a", "b"));
    await wait(5_000);
    expect([one.discovery.leading, two.discovery.leading]).toEqual([true, false]);
    expect(two.running()).toEqual([]);
    expect(await two.metric("leading")).toBe(0);
    one.own.cut = true;
    await leading(two);
    await wait(100);
    expect(one.discovery.leading).toBe(false);
    expect(one.running()).toEqual([]);
    expect(await one.metric("backends", SHOP_FILE)).toBeNull();
    expect(two.known("shop", "file")).toEqual(["a", "b"]);
    two.say("shop", "file", failure);
    await wait(15_000);
    expect(store.discovered).toEqual(found("a", "b"));
    expect(store.publications).toBe(1);
  });

  it("is given to another at once by a monitor that stops", async () => {
    const { one, monitor, store, wait } = await leader();
    const two = monitor("two");
    two.configure(shop);
    one.say("shop", "file", good("a"));
    await wait(100);
    const stopping = one.discovery.stop();
    await wait(1_100);
    await stopping;
    expect(two.discovery.leading).toBe(true);
    expect(store.discovered).toEqual(found("a"));
  });

  it("stops as soon as a publication is refused", async () => {
    const { one, store, wait } = await leader();
    Object.assign(store, { leader: "other", untilMs: Number.POSITIVE_INFINITY });
    one.say("shop", "file", good("a"));
    await wait(100);
    expect(one.discovery.leading).toBe(false);
    expect(one.running()).toEqual([]);
    expect(store.discovered).toEqual({});
  });

  it("goes on where it was through a Redis that was away for a moment, and publishes what it found meanwhile", async () => {
    const { one, store, wait } = await leader();
    one.own.cut = true;
    one.say("shop", "file", good("a"));
    await wait(1_500);
    expect(one.running()).toEqual(["shop/file"]);
    one.own.cut = false;
    await wait(1_500);
    expect(store.discovered).toEqual(found("a"));
    expect(one.starts()).toBe(1);
  });

  it("puts back in Redis what Redis forgot", async () => {
    const { one, store, wait } = await leader();
    one.say("shop", "file", good("a"));
    await wait(100);
    store.discovered = {};
    await wait(12_000);
    expect(store.discovered).toEqual(found("a"));
  });

  it("begins with what is known here of pools that Redis has nothing of", async () => {
    const { monitor, store, leading, wait } = scene();
    const one = monitor("one");
    one.discovery.configure({ written: shop, discovered: found("a") });
    await leading(one);
    await wait(100);
    expect(store.discovered).toEqual(found("a"));
    expect(one.known("shop", "file")).toEqual(["a"]);
  });

  it("remembers it though the configuration that Redis was given anew has nothing of it", async () => {
    const { monitor, store, leading, wait } = scene();
    const one = monitor("one");
    one.discovery.configure({ written: shop, discovered: { ...found("a"), gone: { dns: [backend("g")] } } });
    one.discovery.configure({ written: shop, discovered: {} });
    await leading(one);
    await wait(100);
    expect(store.discovered).toEqual(found("a"));
  });

  it("leaves alone for a while what was found for pools that it does not know yet", async () => {
    const { monitor, store, leading, wait } = scene();
    store.discovered = { ...found("a"), newer: { dns: [backend("n")] } };
    const one = monitor("one");
    one.configure(shop);
    await leading(one);
    await wait(3_000);
    expect(store.discovered).toHaveProperty("newer");
    one.configure(documentOf(poolOf("shop", FILE), poolOf("newer", { dns: { name: "newer" } })));
    await wait(10_000);
    expect(one.known("newer", "dns")).toEqual(["n"]);
    expect(store.discovered).toHaveProperty("newer");
  });
});
