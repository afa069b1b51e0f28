// The checker must fail when it should: histories made up with one thing wrong in each.
import type { Health } from "@evenkeel/core/health/state.ts";
import type { LedgerEvent, LoggedEvent } from "@evenkeel/core/ledger/ledger.ts";
import { describe, expect, it } from "vitest";
import { allowances, check } from "./check.ts";
import { causedByMachine } from "./check-log.ts";
import type { Facts, Fault, FaultKind, RequestFact, Role } from "./facts.ts";
import { COUNTS_BOUND_MS, FOUND_BOUND_MS, LATE_FINDING_MS, RETURN_BOUND_MS } from "./settings.ts";

const START_MS = 1_800_000_000_000;
const GATEWAYS = ["gateway-1", "gateway-2"];
const BACKENDS = ["backend-1", "backend-2"];

const request = (id: string, more: Partial<RequestFact> = {}): RequestFact => ({
  ...{ id, method: "GET", gateway: "gateway-1", startedMs: START_MS + 1_000, endedMs: START_MS + 1_010 },
  ...{ status: 200, backend: "backend-1", trouble: null },
  ...more,
});

const failed = (more: Partial<RequestFact> = {}): RequestFact =>
  request("f", { status: 502, trouble: "the backend refused the connection", ...more });

const fault = (target: string, kind: FaultKind, fromMs: number, untilMs: number): Fault => ({
  ...{ role: target.replace(/-\d$/, "") as Role, target, kind, atMs: fromMs, lastsMs: untilMs - fromMs },
  ...{ fromMs: START_MS + fromMs, untilMs: START_MS + untilMs },
});

const change = (version: number, atMs: number, backend: string, to: Health, from?: Health): LedgerEvent => ({
  ...{ type: "health", version, atMs: START_MS + atMs, ejections: 0, backend, to },
  ...{ from: from ?? (to === "healthy" ? "unhealthy" : "healthy"), reason: "probe", detail: "timeout" },
});

const logged = (...events: LedgerEvent[]): LoggedEvent[] =>
  events.map((event, i) => ({ id: `${i}-0`, event }));

const members: LedgerEvent = {
  ...{
    type: "members",
    version: 1,
    atMs: START_MS - 1_000,
    configVersion: 1,
    joined: BACKENDS,
    left: [],
    size: 2,
  },
};

const backendState = (id: string, more: object = {}) => ({
  ...{
    id,
    url: "http://127.0.0.1:1",
    weight: 1,
    zone: null,
    maxInflight: null,
    slots: null,
    priority: 0,
    cost: 0,
  },
  ...{ effectiveWeight: 1, inflight: 0, health: "healthy" as Health, reason: "initial" as const, sinceMs: 0 },
  ...{
    mode: "active" as const,
    detail: null,
    ejections: 0,
    returnsMs: null,
    probedMs: START_MS + 2_000,
    agent: null,
  },
  ...{ ready: true, ewmaMs: null, metrics: {} },
  ...more,
});

const stateAt = (version: number, backends = BACKENDS.map((id) => backendState(id))): Facts["state"] => ({
  ...{ pool: "app", version, policy: "least-connections", panic: false, backends },
});

const viewsAt = (version: number, more: object = {}): Facts["views"] =>
  GATEWAYS.map((gateway) => ({ gateway, version, deciding: "scheduler", eligible: BACKENDS, ...more }));

const inARow = () =>
  GATEWAYS.flatMap((gateway) =>
    BACKENDS.map((backend) => request(`${gateway} ${backend}`, { gateway, backend })),
  );

/** backend-1 is killed, found out about, and comes back; all is as it should be. */
const sound = (more: Partial<Facts> = {}): Facts => ({
  ...{ backends: BACKENDS, gateways: GATEWAYS, faults: [fault("backend-1", "kill", 500, 1_500)] },
  healedMs: START_MS + 1_500,
  lives: [
    {
      before: null,
      events: logged(
        members,
        change(2, 900, "backend-1", "unhealthy"),
        change(3, 2_000, "backend-1", "healthy"),
      ),
      endedMs: null,
    },
  ],
  ...{
    requests: [request("1"), request("2")],
    afterwards: inARow(),
    followed: { seen: ["1-0", "2-0"], logged: [{ ids: ["1-0", "2-0"], lost: false }] },
    executions: [{ id: "p", backend: "backend-1" }],
  },
  ...{
    returnedAfterMs: 600,
    lacking: [],
    negative: [],
    zeroAfterMs: 100,
    rows: { "gateway-1": { "backend-1": 0 } },
  },
  ...{ state: stateAt(3), views: viewsAt(3), budgetExhausted: 0, deaths: [], stalls: [] },
  ...more,
});

const withLog = (...events: LedgerEvent[]): Partial<Facts> => {
  const version = events.at(-1)?.version ?? 0;
  const life = { before: null, events: logged(members, ...events), endedMs: null };
  return { lives: [life], state: stateAt(version), views: viewsAt(version) };
};

const found = (more: Partial<Facts>) => check(sound(more)).map(({ rule, what }) => `${rule}: ${what}`);

describe("the checker of a log", () => {
  it("has nothing to say of a history in which nothing is wrong", () => {
    expect(check(sound())).toEqual([]);
  });

  it("sees a version that is missing", () => {
    const log = withLog(change(2, 900, "backend-1", "unhealthy"), change(4, 2_000, "backend-1", "healthy"));
    expect(found(log)).toEqual([
      "no transition is lost: life 1 of the data: 1 version(s) after 2 are missing (entry 2-0)",
    ]);
  });

  it("sees a version that goes back within one life of the data, and allows it in the next", () => {
    const back = change(1, 2_000, "backend-1", "healthy");
    const one = withLog(change(2, 900, "backend-1", "unhealthy"), back);
    expect(found(one)).toEqual([
      "no transition is lost: life 1 of the data: version 1 follows 2 (entry 2-0)",
    ]);
    const first = {
      before: null,
      events: logged(change(9, 900, "backend-1", "unhealthy")),
      endedMs: START_MS + 1_000,
    };
    const second = { before: null, events: logged(members), endedMs: null };
    expect(found({ lives: [first, second], state: stateAt(1), views: viewsAt(1) })).toEqual([]);
  });

  it("sees a transition twice, and one that does not begin where the one before ended", () => {
    const out = change(2, 900, "backend-1", "unhealthy");
    const twice = withLog(out, { ...out, version: 3 }, change(4, 2_000, "backend-1", "healthy"));
    expect(found(twice)).toEqual([
      "no transition is lost: life 1 of the data: backend-1 was unhealthy, and goes from healthy to unhealthy (entry 2-0)",
    ]);
    const nowhere = withLog(change(2, 900, "backend-1", "healthy", "healthy"));
    expect(found(nowhere)[0]).toContain("backend-1 goes from healthy to healthy");
  });

  it("goes on from what the sequence before left", () => {
    const before = { version: 7, health: { "backend-1": "unhealthy" as Health } };
    const life = { before, events: logged(change(9, 900, "backend-1", "unhealthy")), endedMs: null };
    const state = stateAt(9, [backendState("backend-1", { health: "unhealthy" }), backendState("backend-2")]);
    expect(found({ lives: [life], state, views: viewsAt(9) })).toEqual([
      "no transition is lost: life 1 of the data: 1 version(s) after 7 are missing (entry 0-0)",
      "no transition is lost: life 1 of the data: backend-1 was unhealthy, and goes from healthy to unhealthy (entry 0-0)",
    ]);
  });

  it("sees a change of the state that was not logged, and that there is no log", () => {
    const log = withLog(change(2, 900, "backend-1", "unhealthy"));
    expect(found(log)).toEqual([
      "no transition is lost: backend-1 is healthy, its last entry says unhealthy",
    ]);
    expect(found({ state: stateAt(4), views: viewsAt(4) })).toEqual([
      "no transition is lost: the pool has version 4, its last entry 3",
    ]);
    expect(found({ lives: [{ before: null, events: [], endedMs: null }] })).toContain(
      "no transition is lost: there is no log",
    );
  });
});

describe("the checker of a follower", () => {
  const told = (seen: string[], ...logged: Facts["followed"]["logged"]) =>
    found({ followed: { seen, logged } });
  const rule = "a follower of the API sees every event once";

  it("sees an entry that was not told, told twice, told out of order, or made up", () => {
    const log = { ids: ["1-0", "2-0", "3-0"], lost: false };
    expect(told(["1-0", "3-0"], log)).toEqual([`${rule}: entry 2-0 of life 1 was not told`]);
    expect(told(["1-0", "2-0", "2-0", "3-0"], log)).toEqual([`${rule}: entry 2-0 was told 2 times`]);
    expect(told(["1-0", "3-0", "2-0"], log)).toEqual([`${rule}: entries of life 1 were told out of order`]);
    expect(told(["1-0", "2-0", "3-0", "4-0"], log)).toEqual([
      `${rule}: entry 4-0 was told, and is not in the log`,
    ]);
  });

  it("allows that the last entries of lost data were not told, or told and never read by the harness", () => {
    const lost = { ids: ["1-0", "2-0", "3-0"], lost: true };
    const log = { ids: ["9-0"], lost: false };
    expect(told(["1-0", "2-0", "9-0"], lost, log)).toEqual([]);
    expect(told(["1-0", "2-0", "3-0", "4-0", "9-0"], lost, log)).toEqual([]);
    expect(told(["1-0", "3-0", "9-0"], lost, log)).toEqual([`${rule}: entry 2-0 of life 1 was not told`]);
    expect(told(["1-0", "2-0"], lost, log)).toEqual([`${rule}: entry 9-0 of life 2 was not told`]);
  });
});

describe("the checker of causes", () => {
  const out = (atMs: number, backend = "backend-2") =>
    withLog(change(2, atMs, backend, "unhealthy"), change(3, atMs + 500, backend, "healthy"));

  it("sees a backend found unhealthy that nothing was wrong with", () => {
    expect(found(out(900))).toEqual([
      `no backend is found unhealthy without a cause: backend-2 was found unhealthy at ${START_MS + 900} (version 2, probe: timeout), and nothing was wrong with it`,
    ]);
    expect(found({ ...out(900), faults: [fault("health-monitor-1", "kill", 500, 1_500)] })).toHaveLength(1);
  });

  it("sees one found unhealthy before its fault, or long after it", () => {
    expect(found(out(400, "backend-1"))).toHaveLength(1);
    expect(found(out(1_500 + LATE_FINDING_MS, "backend-1"))).toEqual([]);
    expect(found(out(1_501 + LATE_FINDING_MS, "backend-1"))).toHaveLength(1);
  });

  it("gives a finding more time while Redis, or all monitors, were away", () => {
    const late = out(1_600 + LATE_FINDING_MS, "backend-1");
    const killed = fault("backend-1", "kill", 500, 1_500);
    const one = fault("health-monitor-1", "cut", 1_000, 2_500);
    const other = fault("health-monitor-2", "kill", 1_500, 2_500);
    expect(found({ ...late, faults: [killed, fault("redis", "kill", 1_000, 2_000)] })).toEqual([]);
    expect(found({ ...late, faults: [killed, one] })).toHaveLength(1);
    expect(found({ ...late, faults: [killed, one, other] })).toEqual([]);
  });

  it("counts apart what a stalled machine explains", () => {
    const facts = sound({ ...out(900), stalls: [{ fromMs: START_MS + 300, untilMs: START_MS + 600 }] });
    expect(check(facts)).toEqual([]);
    expect(causedByMachine(facts)).toBe(1);
  });
});

describe("the checker of what is broken", () => {
  const faults = [fault("backend-1", "freeze", 500, 3_000)];
  const out = (atMs: number) =>
    withLog(change(2, atMs, "backend-1", "unhealthy"), change(3, atMs + 500, "backend-1", "healthy"));

  it("sees a backend that was broken for long and never found unhealthy, or too late", () => {
    expect(found({ ...out(500 + FOUND_BOUND_MS), faults })).toEqual([]);
    const rule = "no backend that is broken stays in";
    const late = `${rule}: backend-1 was not found unhealthy within ${FOUND_BOUND_MS} ms of freeze at ${START_MS + 500}`;
    expect(found({ ...out(501 + FOUND_BOUND_MS), faults })).toEqual([late]);
    expect(
      found({
        lives: [{ before: null, events: logged(members), endedMs: null }],
        faults,
        state: stateAt(1),
        views: viewsAt(1),
      }),
    ).toEqual([late]);
  });

  it("asks that of no short fault, and not while Redis is away", () => {
    const none = {
      lives: [{ before: null, events: logged(members), endedMs: null }],
      state: stateAt(1),
      views: viewsAt(1),
    };
    expect(found({ ...none, faults: [fault("backend-1", "freeze", 500, 500 + FOUND_BOUND_MS)] })).toEqual([]);
    expect(found({ ...none, faults: [...faults, fault("redis", "freeze", 1_000, 1_200)] })).toEqual([]);
    expect(
      found({ ...none, faults: [...faults, fault("scheduler-1", "freeze", 1_000, 1_200)] }),
    ).toHaveLength(1);
  });
});

describe("the checker of the end", () => {
  it("sees a backend that did not come back, or is never picked by one gateway", () => {
    expect(found({ returnedAfterMs: null, lacking: ["backend-1 is unhealthy"] })).toEqual([
      "no backend is left out for good: backend-1 is unhealthy",
    ]);
    expect(found({ afterwards: inARow().slice(1) })).toEqual([
      "no backend is left out for good: gateway-1 never picks backend-1",
    ]);
  });

  it("sees a backend that nobody probes any more", () => {
    const old = backendState("backend-1", { probedMs: START_MS + 1_499 });
    expect(found({ state: stateAt(3, [old, backendState("backend-2", { probedMs: null })]) })).toEqual([
      "no backend is left out for good: backend-1 was not probed since all is whole",
      "no backend is left out for good: backend-2 was not probed since all is whole",
    ]);
  });

  it("sees a gateway that knows less, or nothing, or still decides by itself", () => {
    const rule = "all gateways know what the ledger knows";
    const [one, two] = viewsAt(3) as [Facts["views"][number], Facts["views"][number]];
    expect(found({ views: [one] })).toEqual([`${rule}: gateway-2 told nothing`]);
    expect(found({ views: [one, { ...two, eligible: ["backend-1"] }] })).toEqual([
      `${rule}: gateway-2 picks from backend-1`,
    ]);
    expect(found({ views: [one, { ...two, version: 2 }] })).toEqual([
      `${rule}: gateway-2 knows version 2 of 3`,
    ]);
    expect(found({ views: [one, { ...two, deciding: "fallback" }] })).toEqual([
      `${rule}: gateway-2 still decides by itself`,
    ]);
  });

  it("sees a count that stays, one below zero, and a row that stays", () => {
    const state = stateAt(3, [backendState("backend-1", { inflight: 1 }), backendState("backend-2")]);
    const rows = { "gateway-1": { "backend-1": 1 } };
    expect(found({ zeroAfterMs: null, state, rows, negative: ["backend-2: -1"] })).toEqual([
      "no count is wrong: a count below zero: backend-2: -1",
      "no count is wrong: the counts did not come to zero in time",
      "no count is wrong: backend-1 has 1 in flight after all was answered",
      "no count is wrong: the row of gateway-1 still has 1 on backend-1",
    ]);
    expect(COUNTS_BOUND_MS).toBeLessThanOrEqual(6_000);
  });

  it("sees a process that ended by itself, a POST carried out twice and a failure afterwards", () => {
    expect(found({ deaths: ["gateway-1 ended by itself: exit code 1"] })).toHaveLength(1);
    const twice = ["backend-1", "backend-2"].map((backend) => ({ id: "p", backend }));
    expect(found({ executions: twice })).toEqual([
      "no POST is carried out twice: POST p was carried out by backend-1 and backend-2",
    ]);
    expect(found({ afterwards: [...inARow(), failed()] })).toHaveLength(1);
    expect(found({ afterwards: [], requests: [] })).toContain(
      "afterwards every request succeeds: none was asked",
    );
  });
});

describe("the checker of clients", () => {
  const bothBad = [fault("backend-1", "kill", 500, 1_500), fault("backend-2", "fail", 900, 1_500)];

  it("sees a GET that failed while one backend was sound", () => {
    expect(found({ requests: [failed()] })).toHaveLength(1);
    expect(found({ requests: [failed()], faults: [...bothBad] })).toEqual([]);
  });

  it("takes a backend for sound again once all must have had the time to know", () => {
    const at = (ms: number) => [failed({ startedMs: START_MS + ms, endedMs: START_MS + ms + 10 })];
    const early = at(1_500 + RETURN_BOUND_MS - 100);
    const late = at(1_500 + RETURN_BOUND_MS + 100);
    expect(found({ requests: early, faults: bothBad })).toEqual([]);
    expect(found({ requests: late, faults: bothBad })).toHaveLength(1);
    const away = fault("redis", "freeze", 1_400, 3_000);
    expect(found({ requests: late, faults: [...bothBad, away] })).toEqual([]);
  });

  it("lets a gateway that is killed or frozen fail its requests, and no other, nor one that has lost Redis", () => {
    const faults = (gateway: string, kind: FaultKind) => [
      ...sound().faults,
      fault(gateway, kind, 1_005, 1_200),
    ];
    expect(found({ requests: [failed()], faults: faults("gateway-1", "kill") })).toEqual([]);
    expect(found({ requests: [failed()], faults: faults("gateway-2", "kill") })).toHaveLength(1);
    expect(found({ requests: [failed()], faults: faults("gateway-1", "cut") })).toHaveLength(1);
  });

  it("lets a gateway that stops in order close a connection, and answer nothing with an error", () => {
    const faults = [...sound().faults, fault("gateway-1", "restart", 1_005, 1_200)];
    expect(found({ requests: [failed({ status: 0 })], faults })).toEqual([]);
    expect(found({ requests: [failed()], faults })).toHaveLength(1);
  });

  it("lets a POST, and an answer that broke off, fail by the backend that had it only", () => {
    const cutOff = { status: 0, trouble: "aborted" };
    expect(found({ requests: [failed({ method: "POST" })] })).toEqual([]);
    expect(found({ requests: [failed({ method: "POST", backend: "backend-2" })] })).toHaveLength(1);
    expect(found({ requests: [failed(cutOff)] })).toEqual([]);
    expect(found({ requests: [failed({ ...cutOff, backend: null })] })).toHaveLength(1);
  });

  it("lets as many GETs fail as gateways had no budget for, within a bound", () => {
    const many = Array.from({ length: 60 }, (_, i) => failed({ id: String(i) }));
    const facts = sound({ requests: many.slice(0, 3), budgetExhausted: 2 });
    expect(check(facts)).toHaveLength(1);
    expect(allowances(facts)).toEqual({ budget: 2 });
    expect(found({ requests: many, budgetExhausted: 60 })).toHaveLength(10);
  });
});
