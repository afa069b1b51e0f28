import type { SendHandle } from "node:child_process";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { GivenSockets } from "../listeners/bind.ts";
import { followFirstProcess } from "./follow.ts";
import type { Assignment, FromWorker, ToWorker } from "./messages.ts";

const HANDLE = {} as SendHandle;
const ASSIGNMENT = {
  version: 1,
  document: { listeners: [], routes: [], pools: [] },
  ports: [{ key: "a", port: 1 }],
} satisfies Assignment;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function scene(configure: (assignment: Assignment) => Promise<void> = async () => {}) {
  const told: FromWorker[] = [];
  const done: string[] = [];
  const waiting = new Set<string>();
  let listener: (message: ToWorker, handle?: SendHandle) => void = () => {};
  let notReady: string | null = "no configuration yet";
  const sockets: GivenSockets = {
    bind: () => Promise.reject(new Error("not here")),
    setPorts: (ports) => void done.push(`ports ${ports.map(({ key }) => key)}`),
    give: (key) => void waiting.add(key),
    waiting: () => [...waiting],
    drop: (key) => void waiting.delete(key),
    inUse: () => [{ key: "a", handle: HANDLE }],
  };
  const following = followFirstProcess({
    channel: {
      send: (message) => void told.push(message),
      sent: async (message, handle) => {
        told.push(message);
        if (handle) done.push("handle");
      },
      onMessage: (next) => {
        listener = next;
      },
    },
    sockets,
    async configure(assignment) {
      done.push(`configure ${assignment.version}`);
      await configure(assignment);
    },
    notReady: () => notReady,
    metrics: async () => [],
    pools: () => [],
  });
  const say = async (message: ToWorker, handle?: SendHandle) => {
    listener(message, handle);
    await vi.advanceTimersByTimeAsync(0);
  };
  const setReady = () => {
    notReady = null;
  };
  return { told, done, waiting, following, say, setReady };
}

describe("a worker", () => {
  it("greets, and tells each change of its readiness once, also one that comes by itself", async () => {
    const { told, setReady } = scene();
    expect(told).toEqual([{ kind: "state", notReady: "no configuration yet" }]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(told).toHaveLength(1);
    setReady();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(told.slice(1)).toEqual([{ kind: "state", notReady: null }]);
  });

  it("answers each question by its number", async () => {
    const { told, say } = scene();
    await say({ id: 7, kind: "metrics", asked: {} });
    await say({ id: 8, kind: "pools", asked: {} });
    expect(told.slice(1)).toEqual([
      { kind: "answer", id: 7, answer: [] },
      { kind: "answer", id: 8, answer: [] },
    ]);
  });

  it("knows the ports before it is configured, and answers when it is", async () => {
    const use = Promise.withResolvers<void>();
    const { told, done, say } = scene(() => use.promise);
    await say({ id: 1, kind: "configure", asked: ASSIGNMENT });
    expect(done).toEqual(["ports a", "configure 1"]);
    expect(told).toHaveLength(1);
    use.resolve();
    await vi.advanceTimersByTimeAsync(0);
    expect(told.at(-1)).toEqual({ kind: "answer", id: 1, answer: true });
  });

  it("lets go of a socket it was lent and has no use for, and says so", async () => {
    const { told, waiting, say } = scene();
    await say({ kind: "socket", key: "a" }, HANDLE);
    await say({ id: 1, kind: "configure", asked: ASSIGNMENT });
    expect([...waiting]).toEqual([]);
    expect(told.at(-1)).toEqual({ kind: "answer", id: 1, answer: false });
  });

  it("keeps a socket that comes while it is configured: it belongs to what comes next", async () => {
    const use = Promise.withResolvers<void>();
    const { told, waiting, say } = scene(() => use.promise);
    await say({ id: 1, kind: "configure", asked: ASSIGNMENT });
    await say({ kind: "socket", key: "b" }, HANDLE);
    use.resolve();
    await vi.advanceTimersByTimeAsync(0);
    expect([...waiting]).toEqual(["b"]);
    expect(told.at(-1)).toEqual({ kind: "answer", id: 1, answer: true });
  });

  it("says that a question could not be answered rather than nothing", async () => {
    const { told, say } = scene(() => Promise.reject(new Error("broken")));
    await say({ id: 1, kind: "configure", asked: ASSIGNMENT });
    expect(told.at(-1)).toEqual({ kind: "answer", id: 1, answer: null });
  });

  it("gives back its sockets before it stops", async () => {
    const { told, done, following } = scene();
    await following.giveBack();
    expect(told.at(-1)).toEqual({ kind: "socket", key: "a" });
    expect(done).toEqual(["handle"]);
  });
});
