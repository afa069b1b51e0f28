import { describe, expect, it } from "vitest";
import { AdminApiError, type RegistrationFacts, type Renewal } from "../admin-api.ts";
import { keepRegistered, RefusedError, type RenewalOptions } from "./renewal.ts";

const RENEWAL: Renewal = { ttlMs: 9_000, renewAfterMs: 3_000 };
const unreachable = new AdminApiError(0, "no scheduler can be reached");
const broken = new AdminApiError(503, "redis: Connection is closed.");
const taken = new AdminApiError(409, "taken");
const forbidden = new AdminApiError(403, "forbidden");

type Step = "ok" | Error;

/**
 * Schedulers that answer as their script says, the last step for ever; after `rounds` pauses it is told to stop.
 */
function scene(scripts: Step[][], rounds: number, more: Partial<RenewalOptions> = {}) {
  const asked: string[] = [];
  const said: string[] = [];
  const pauses: number[] = [];
  const stop = new AbortController();
  const registries = scripts.map((script, i) => {
    const answer = (what: string) => {
      asked.push(`${what} ${i}`);
      const step = script.length > 1 ? script.shift() : script[0];
      if (step !== "ok") throw step;
    };
    return {
      async register() {
        answer("put");
        return RENEWAL;
      },
      deregister: async () => answer("delete"),
    };
  });
  const options: RenewalOptions = {
    registries,
    pool: "shop",
    id: "a",
    facts: async (): Promise<RegistrationFacts> => ({ url: "http://10.0.0.5:80" }),
    signal: stop.signal,
    onRegistered: ({ ttlMs }) => said.push(`registered for ${ttlMs}`),
    onFailing: (reason) => said.push(reason),
    random: () => 0,
    async pause(ms) {
      pauses.push(ms);
      if (pauses.length >= rounds) stop.abort();
    },
    ...more,
  };
  const run = (giveUp = false) => keepRegistered(options, giveUp);
  return { asked, said, pauses, stop, run };
}

describe("keeping a registration", () => {
  it("renews it when the scheduler says, and ends it when told to stop", async () => {
    const { asked, said, pauses, run } = scene([["ok"]], 3);
    await run();
    expect(asked).toEqual(["put 0", "put 0", "put 0", "delete 0"]);
    expect(pauses).toEqual([3_000, 3_000, 3_000]);
    expect(said).toEqual(["registered for 9000"]);
  });

  it.each([
    ["cannot be reached", unreachable],
    ["has lost Redis", broken],
  ])("asks the next scheduler when one %s, and stays with it", async (_what, failure) => {
    const { asked, said, run } = scene([[failure], ["ok"], ["ok"]], 2);
    await run();
    expect(asked).toEqual(["put 0", "put 1", "put 1", "delete 1"]);
    expect(said).toEqual(["registered for 9000"]);
  });

  it("says once that it fails and once that it works again", async () => {
    const { said, run } = scene([["ok", unreachable, broken, taken, "ok", "ok", unreachable, "ok"]], 8);
    await run();
    expect(said).toEqual([
      "registered for 9000",
      unreachable.message,
      "registered for 9000",
      unreachable.message,
      "registered for 9000",
    ]);
  });

  it("asks again soon at first, later and later, but never later than it would renew", async () => {
    const { pauses, run } = scene([[...Array<Step>(7).fill(unreachable), "ok", unreachable, "ok"]], 10);
    await run();
    expect(pauses).toEqual([250, 500, 1_000, 2_000, 3_000, 3_000, 3_000, 3_000, 250, 3_000]);
  });

  it("comes a little early, by chance, so that many do not come together", async () => {
    const { pauses, run } = scene([["ok"]], 1, { random: () => 0.5 });
    await run();
    expect(pauses).toEqual([2_700]);
  });

  it("asks no other scheduler after a refusal, which all would repeat", async () => {
    const { asked, said, run } = scene([[taken, "ok"], ["ok"]], 2);
    await run();
    expect(asked).toEqual(["put 0", "put 0", "delete 0"]);
    expect(said).toEqual(["taken", "registered for 9000"]);
  });

  it("gives up when it is refused for good before it was ever taken, and only then", async () => {
    const refused = scene([[forbidden]], 9);
    await expect(refused.run(true)).rejects.toThrow(RefusedError);
    expect(refused.asked).toEqual(["put 0"]);
    const later = scene([["ok", forbidden]], 3);
    await later.run(true);
    expect(later.said.slice(0, 2)).toEqual(["registered for 9000", "forbidden"]);
    const patient = scene([[forbidden, "ok"]], 2);
    await patient.run(false);
    expect(patient.said).toEqual(["forbidden", "registered for 9000"]);
  });

  it("asks for its address again while that cannot be told", async () => {
    const facts = [Promise.reject(new Error("ECONNREFUSED")), Promise.resolve({ url: "http://10.0.0.5:80" })];
    const { asked, said, run } = scene([["ok"]], 2, {
      facts: () => facts.shift() as Promise<RegistrationFacts>,
    });
    await run();
    expect(asked).toEqual(["put 0", "delete 0"]);
    expect(said).toEqual(["ECONNREFUSED", "registered for 9000"]);
  });

  it("is done when there is nothing to end, and says so when it could not be", async () => {
    const gone = scene([["ok", new AdminApiError(404, "none")]], 1);
    await gone.run();
    expect(gone.said).toEqual(["registered for 9000"]);
    const lost = scene([["ok", unreachable], [broken]], 1);
    await lost.run();
    expect(lost.asked).toEqual(["put 0", "delete 0", "delete 1"]);
    expect(lost.said[1]).toMatch(/Connection is closed.*ends by itself/);
  });
});
