import type { LookupFunction } from "node:net";
import { describe, expect, it } from "vitest";
import { until } from "../test-support/until.ts";
import { createLookup } from "./lookup.ts";

/** A resolver that answers by hand. */
function byHand() {
  const asked: { hostname: string; answer: (address: string) => void }[] = [];
  const resolve: LookupFunction = (hostname, _options, told) => {
    asked.push({ hostname, answer: (address) => told(null, address, 4) });
  };
  return { asked, resolve };
}

describe("looking up names", () => {
  it("asks once for all who want a name at the same time, and anew for those who come later", () => {
    const { asked, resolve } = byHand();
    const lookup = createLookup(resolve);
    const told: string[] = [];
    const want = (name: string) => lookup(name, {}, (_error, address) => void told.push(String(address)));
    for (const name of ["a", "a", "b", "a"]) want(name);
    expect(asked.map(({ hostname }) => hostname)).toEqual(["a", "b"]);
    asked[0]?.answer("10.0.0.1");
    expect(told).toEqual(["10.0.0.1", "10.0.0.1", "10.0.0.1"]);
    want("a");
    expect(asked).toHaveLength(3);
  });

  it("lets only so many wait, and the others in when they are told", async () => {
    const { asked, resolve } = byHand();
    const lookup = createLookup(resolve, 2);
    const told: (string | undefined)[] = [];
    const want = () => lookup("a", {}, (error) => void told.push(error?.code));
    for (let i = 0; i < 3; i += 1) want();
    await until("refused", () => told.length === 1);
    expect(told).toEqual(["EAI_AGAIN"]);
    asked[0]?.answer("10.0.0.1");
    want();
    asked[1]?.answer("10.0.0.1");
    expect(told).toEqual(["EAI_AGAIN", undefined, undefined, undefined]);
  });
});
