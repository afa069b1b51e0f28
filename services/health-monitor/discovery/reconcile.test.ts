import { withDiscovered } from "@evenkeel/core/config/discovered.ts";
import type { BackendDocument, ConfigDocument } from "@evenkeel/core/config/schema.ts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { discoveredOf, leftOutOf, nothingFound, take } from "./reconcile.ts";
import type { SourceAnswer } from "./source.ts";

const backend = (id: string, url = `http://${id}.example.com:80`): BackendDocument => ({ id, url });
const good = (...ids: string[]): SourceAnswer => ({ ok: true, backends: ids.map((id) => backend(id)) });
const failure: SourceAnswer = { ok: false, reason: "away" };
const idsOf = ({ backends }: { backends: readonly BackendDocument[] }) => backends.map(({ id }) => id).join();

describe("what counts as found", () => {
  it("is what the source says, a large loss included", () => {
    const many = take(nothingFound(), good(..."abcdefgh"), "keep");
    expect(idsOf(take(many, good("a"), "keep"))).toBe("a");
  });

  it("does not change while the source fails", () => {
    for (const rule of ["keep", "empty"] as const) {
      const found = take(take(nothingFound(), good("a", "b"), rule), failure, rule);
      expect(found).toMatchObject({ failing: "away", backends: [{ id: "a" }, { id: "b" }] });
      expect(take(found, good("c"), rule)).toEqual({ ...nothingFound([backend("c")]) });
    }
  });

  it("stays when the source names none, or goes, as the rule says", () => {
    const found = take(nothingFound(), good("a"), "keep");
    expect(take(found, good(), "keep")).toEqual({ ...found, keeping: true });
    expect(take(found, good(), "empty")).toEqual(nothingFound());
    expect(take(nothingFound(), good(), "keep")).toEqual(nothingFound());
    expect(take(take(found, good(), "keep"), good("b"), "keep").keeping).toBe(false);
  });

  it("never has an address that no backend can have, and is not emptied by one", () => {
    const metadata = backend("m", "http://169.254.169.254:80");
    const mixed = take(
      nothingFound(),
      { ok: true, backends: [metadata, backend("a"), backend("v6", "http://[fe80::1]:80")] },
      "keep",
    );
    expect(idsOf(mixed)).toBe("a");
    expect(mixed.rejected).toEqual([
      { what: "m", reason: expect.stringContaining("link-local") },
      { what: "v6", reason: expect.stringContaining("link-local") },
    ]);
    const poisoned = take(mixed, { ok: true, backends: [metadata] }, "keep");
    expect(poisoned).toMatchObject({ keeping: true, backends: [{ id: "a" }], rejected: [{ what: "m" }] });
  });

  it("is nothing that is no backend at all, and not without bound", () => {
    const garbage = [
      null,
      {},
      { id: 3, url: "http://a:80" },
      { id: "a", url: 3 },
    ] as unknown as BackendDocument[];
    const found = take(nothingFound(), { ok: true, backends: garbage }, "keep");
    expect(found.backends).toEqual([]);
    expect(found.rejected.map(({ reason }) => reason)).toEqual(new Array(4).fill("is not a backend"));
    const many = Array.from({ length: 12_000 }, (_, i) => backend(`b${i}`));
    const bounded = take(nothingFound(), { ok: true, backends: many }, "keep");
    expect(bounded.backends).toHaveLength(10_000);
    expect(bounded.rejected).toHaveLength(1_000);
  });

  it("never loses its last ones under the rule keep, and nothing by a failure under any", () => {
    const address = fc.constantFrom("10.0.0.1", "10.0.0.2", "10.0.0.3", "169.254.169.254", "224.0.0.1");
    const answer: fc.Arbitrary<SourceAnswer> = fc.oneof(
      fc.constant(failure),
      fc.array(address, { maxLength: 4 }).map((hosts) => ({
        ok: true as const,
        backends: hosts.map((host, i) => backend(`b${i}`, `http://${host}:80`)),
      })),
    );
    fc.assert(
      fc.property(
        fc.array(answer, { maxLength: 20 }),
        fc.constantFrom("keep" as const, "empty" as const),
        (answers, rule) => {
          let found = nothingFound();
          for (const one of answers) {
            const next = take(found, one, rule);
            if (!one.ok) expect(next.backends).toBe(found.backends);
            if (rule === "keep" && found.backends.length > 0) expect(next.backends.length).toBeGreaterThan(0);
            const named = one.ok ? one.backends : [];
            for (const { id, url } of next.backends) {
              expect(url).not.toMatch(/169\.254|224\./);
              expect([...named, ...found.backends]).toContainEqual({ id, url });
            }
            found = next;
          }
        },
      ),
      { seed: 3, numRuns: 1_000 },
    );
  });
});

describe("what is told to the cluster", () => {
  const written: ConfigDocument = {
    listeners: [{ name: "web", protocol: "http", port: 80 }],
    routes: [],
    pools: [
      { name: "shop", backends: [backend("a")], discovery: { file: { path: "/x" }, dns: { name: "shop" } } },
    ],
  };

  it("is all that was found; what its pool cannot take is named", () => {
    const file = take(nothingFound(), good("a", "b"), "keep");
    const dns = take(
      nothingFound(),
      { ok: true, backends: [backend("c"), backend("d", "tcp://d.example.com:5432")] },
      "keep",
    );
    const board = new Map([["shop", new Map([["file", file] as const, ["dns", dns] as const])]]);
    const discovered = discoveredOf(board);
    expect(discovered).toEqual({ shop: { file: file.backends, dns: dns.backends } });
    expect(leftOutOf(board, written, discovered)).toEqual([
      { pool: "shop", source: "file", backend: "a", reason: expect.stringContaining("taken") },
      { pool: "shop", source: "dns", backend: "d", reason: expect.stringContaining("tcp") },
    ]);
    expect(withDiscovered(written, discovered).pools[0]?.backends.map(({ id }) => id)).toEqual([
      "a",
      "b",
      "c",
    ]);
  });
});
