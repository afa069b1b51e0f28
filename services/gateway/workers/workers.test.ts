import { resolveConfig } from "@evenkeel/core/config/resolve.ts";
import { describe, expect, it, vi } from "vitest";
import { documentOf, listener, STOP_TIMEOUT_MS, scene, turn } from "./test-support/pretend.ts";

describe("the workers of a gateway", () => {
  it("are none while the configuration wants one process", async () => {
    const { workers, processes, apply, shown } = scene();
    await apply(documentOf(1));
    expect(processes).toEqual([]);
    expect(workers.notReady()).toBe(null);
    expect(await shown("evenkeel_gateway_workers")).toBe(1);
  });

  it("are one fewer than the processes wanted, each told the ports and the configuration once it has greeted", async () => {
    const { workers, processes, apply, greetAll } = scene();
    await apply(documentOf(3));
    expect(processes.map(({ id }) => id)).toEqual(["g.w2", "g.w3"]);
    expect(processes.flatMap(({ said }) => said)).toEqual([]);
    expect(workers.notReady()).toBe("2 of 3 processes not ready: starting");
    await greetAll();
    for (const one of processes) {
      expect(one.said.map(({ kind }) => kind)).toEqual(["configure"]);
      expect(one.assignments).toMatchObject([{ version: 1, ports: [{ key: "0.0.0.0|80", port: 80 }] }]);
    }
    expect(workers.notReady()).toBe(null);
  });

  it("are told each new configuration after the first process, with the ports that are open then", async () => {
    const { processes, apply, greetAll, openSocket } = scene();
    await apply(documentOf(2));
    await greetAll();
    const [one] = processes;
    let told = -1;
    await apply(documentOf(2, listener(), listener({ name: "more", port: 81 })), () => {
      told = one?.assignments.length ?? -1;
      openSocket("0.0.0.0|81");
    });
    expect(told).toBe(1);
    expect(one?.assignments.map(({ version, ports }) => [version, ports.length])).toEqual([
      [1, 1],
      [2, 2],
    ]);
  });

  it("let go of listeners that the next configuration drops before the first process opens others", async () => {
    const { processes, apply, greetAll } = scene();
    await apply(documentOf(2, listener(), listener({ name: "other", port: 81 })));
    await greetAll();
    const [one] = processes;
    const listenersTold = () => one?.assignments.at(-1)?.document.listeners.map(({ name }) => name);
    let before: unknown;
    await apply(
      documentOf(2, listener({ address: "127.0.0.1" }), listener({ name: "other", port: 81 })),
      () => {
        before = listenersTold();
      },
    );
    expect(before).toEqual(["other"]);
    expect(listenersTold()).toEqual(["web", "other"]);
  });

  it("that do not answer delay a configuration no longer than two seconds", async () => {
    const { workers, processes, apply, greetAll } = scene();
    await apply(documentOf(2));
    await greetAll();
    for (const one of processes) one.mute = true;
    const document = documentOf(2, listener({ address: "127.0.0.1" }));
    const applied = workers.apply(2, document, async () => resolveConfig(document));
    await vi.advanceTimersByTimeAsync(2_000);
    await applied;
  });

  it("go on with what they had when the first process cannot use a configuration", async () => {
    const { workers, processes, apply, greetAll } = scene();
    await apply(documentOf(2));
    await greetAll();
    const failed = expect(
      workers.apply(2, documentOf(5, listener({ port: 81 })), () => Promise.reject(new Error("no"))),
    ).rejects.toThrow("no");
    await turn();
    await failed;
    expect(processes).toHaveLength(1);
    expect(processes[0]?.assignments.at(-1)).toMatchObject({ version: 1, document: documentOf(2) });
  });

  it("are told of a port that the first process could open only later", async () => {
    const { workers, processes, apply, greetAll, openSocket } = scene();
    await apply(documentOf(2, listener(), listener({ name: "late", port: 81 })));
    await greetAll();
    openSocket("0.0.0.0|81");
    workers.share();
    await turn();
    expect(processes[0]?.assignments.map(({ ports }) => ports.map(({ port }) => port))).toEqual([
      [80],
      [80, 81],
    ]);
  });

  it("are none where all listeners are of datagrams, which the first process takes alone", async () => {
    const { processes, apply } = scene();
    await apply(documentOf(3, listener({ protocol: "udp" })));
    expect(processes).toEqual([]);
  });

  it("drain when fewer are wanted, and are killed when they do not leave in time", async () => {
    const { processes, apply, greetAll } = scene();
    await apply(documentOf(3));
    await greetAll();
    await apply(documentOf(1));
    expect(processes.map(({ signals }) => signals)).toEqual([["SIGTERM"], ["SIGTERM"]]);
    processes[0]?.die("exit code 0");
    await vi.advanceTimersByTimeAsync(STOP_TIMEOUT_MS);
    expect(processes.map(({ signals }) => signals)).toEqual([["SIGTERM"], ["SIGTERM", "SIGKILL"]]);
    expect(processes).toHaveLength(2);
  });

  it("give back their sockets when they leave, and those that come are lent them first", async () => {
    const { processes, apply, greetAll, spare, settled } = scene();
    await apply(documentOf(2));
    await greetAll();
    expect(processes[0]?.sockets).toEqual([]);
    await apply(documentOf(1));
    processes[0]?.giveBack("0.0.0.0|80");
    processes[0]?.die("exit code 0");
    expect(spare).toEqual(["0.0.0.0|80"]);
    await apply(documentOf(2));
    await greetAll();
    expect(processes[1]?.said.map(({ kind }) => kind)).toEqual(["socket", "configure"]);
    expect(settled).toEqual([true]);
    await apply(documentOf(2, listener({ name: "renamed" })));
    expect(processes[1]?.sockets).toHaveLength(1);
  });

  it("that die before they have taken a socket leave it to the first process", async () => {
    const { processes, apply, spare, settled } = scene();
    spare.push("0.0.0.0|80");
    await apply(documentOf(2));
    if (processes[0]) processes[0].mute = true;
    processes[0]?.greet();
    await turn();
    expect(processes[0]?.sockets).toHaveLength(1);
    expect(settled).toEqual([]);
    processes[0]?.die();
    await turn();
    expect(settled).toEqual([false]);
  });

  it("that die are started again under another name, later each time, and counted", async () => {
    const { workers, processes, apply, greetAll, shown } = scene();
    await apply(documentOf(2));
    await greetAll();
    processes[0]?.die();
    expect(workers.notReady()).toBe("1 of 2 processes not ready: ended (SIGKILL), to be started again");
    await vi.advanceTimersByTimeAsync(999);
    expect(processes).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(processes.map(({ id }) => id)).toEqual(["g.w2", "g.w3"]);
    await greetAll();
    expect(processes[1]?.assignments).toHaveLength(1);
    expect(workers.notReady()).toBe(null);
    processes[1]?.die();
    await vi.advanceTimersByTimeAsync(1_999);
    expect(processes).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(processes).toHaveLength(3);
    expect(await shown("evenkeel_gateway_worker_restarts_total")).toBe(2);
  });

  it("are told to drain in the end, and none is started again", async () => {
    const { workers, processes, apply, greetAll } = scene();
    await apply(documentOf(3));
    await greetAll();
    processes[1]?.die();
    let stopped = false;
    void workers.stop().then(() => {
      stopped = true;
    });
    await turn();
    expect(processes[0]?.signals).toEqual(["SIGTERM"]);
    expect(stopped).toBe(false);
    processes[0]?.die("exit code 0");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(stopped).toBe(true);
    await apply(documentOf(4));
    expect(processes).toHaveLength(2);
  });

  it("have started once all have welcomed requests, or when they are late", async () => {
    const { workers, apply, greetAll } = scene();
    await apply(documentOf(2));
    let started = 0;
    const count = () => {
      started += 1;
    };
    void workers.started(10_000).then(count);
    await vi.advanceTimersByTimeAsync(9_999);
    expect(started).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(started).toBe(1);
    await greetAll();
    void workers.started(10_000).then(count);
    await turn();
    expect(started).toBe(2);
  });
});

describe("what several processes have counted", () => {
  it("is added up, also what a worker had counted that died or was told to leave", async () => {
    const { processes, metrics, apply, greetAll, shown } = scene();
    metrics.counter("requests_total", "Requests").inc(1);
    metrics.gauge("inflight", "Requests").set(1);
    await apply(documentOf(3));
    await greetAll();
    processes[0]?.count(10, 2);
    processes[1]?.count(100, 4);
    expect(await shown("requests_total")).toBe(111);
    expect(await shown("inflight")).toBe(7);
    expect(await shown("evenkeel_gateway_workers")).toBe(3);

    processes[0]?.die();
    expect(await shown("requests_total")).toBe(111);
    expect(await shown("inflight")).toBe(5);

    await apply(documentOf(1));
    expect(await shown("requests_total")).toBe(111); // while it drains
    processes[1]?.count(1_000, 0);
    await processes[1]?.farewell();
    processes[1]?.die("exit code 0");
    await turn();
    expect(await shown("requests_total")).toBe(1_111);
    expect(await shown("inflight")).toBe(1);
  });

  it("is counted once where a worker ends while it is asked", async () => {
    const { workers, processes, apply, greetAll, shown } = scene();
    await apply(documentOf(2));
    await greetAll();
    processes[0]?.count(10, 0);
    expect(await shown("requests_total")).toBe(10);
    if (processes[0]) processes[0].mute = true;
    const scraped = workers.scrape();
    await turn();
    processes[0]?.die();
    expect(await scraped).toContain("requests_total 10\n");
    expect(await shown("requests_total")).toBe(10);
  });

  it("is what a worker said last where it does not answer within a second", async () => {
    const { processes, apply, greetAll, shown } = scene();
    await apply(documentOf(2));
    await greetAll();
    processes[0]?.count(10, 2);
    expect(await shown("requests_total")).toBe(10);
    for (const one of processes) one.mute = true;
    processes[0]?.count(5, 2);
    expect(await shown("requests_total")).toBe(10);
    expect(await shown("evenkeel_gateway_worker_unheard_total")).toBe(2);
  });

  it("is held together: what each has in flight, without those that do not answer", async () => {
    const { workers, processes, apply, greetAll } = scene();
    await apply(documentOf(3));
    await greetAll();
    for (const one of processes) one.held = { a: 2 };
    const known = { version: 1, deciding: "scheduler" as const, picks: {}, failover: null, eligible: [] };
    const own = [{ pool: "p", held: { a: 1 }, ...known }];
    const all = workers.views(own);
    await turn();
    expect((await all)[0]?.held).toEqual({ a: 5 });
    if (processes[0]) processes[0].mute = true;
    const some = workers.views(own);
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await some)[0]?.held).toEqual({ a: 3 });
  });
});
