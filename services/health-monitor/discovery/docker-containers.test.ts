import { describe, expect, it } from "vitest";
import { backendsOf, type Container } from "./docker-containers.ts";
import { container } from "./test-support/docker-engine.ts";

const found = (containers: Container[], network: string | null = null) =>
  backendsOf(containers, "shop", { network });

/** The reason for which a container is rejected. */
const reasonFor = (one: Container, network: string | null = null) => {
  const { backends, rejected } = found([one], network);
  expect(backends).toEqual([]);
  return rejected?.[0]?.reason;
};

describe("containers", () => {
  it("are backends by their labels", () => {
    const labels = {
      "evenkeel.scheme": "https",
      "evenkeel.id": "first",
      "evenkeel.weight": "3",
      "evenkeel.zone": "eu",
      "evenkeel.priority": "1",
      "com.example.other": "yes",
    };
    expect(found([container("shop-1", "172.17.0.2"), container("shop-2", "172.17.0.3", labels)])).toEqual({
      ok: true,
      backends: [
        { id: "shop-1", url: "http://172.17.0.2:8080" },
        { id: "first", url: "https://172.17.0.3:8080", weight: 3, zone: "eu", priority: 1 },
      ],
      rejected: [],
    });
  });

  it("go by their id where the Engine has no name for them", () => {
    const nameless = { ...container("shop-1", "172.17.0.2"), Names: null };
    expect(found([nameless]).backends.map(({ id }) => id)).toEqual(["shop-1-01234"]);
  });

  it("belong to the pool they name, and to no other", () => {
    const other = container("till-1", "172.17.0.9", { "evenkeel.pool": "till" });
    expect(found([other])).toEqual({ ok: true, backends: [], rejected: [] });
  });

  it.each([
    ["created", "Created"],
    ["paused", "Up 5 minutes (Paused)"],
    ["restarting", "Restarting (1) 2 seconds ago"],
    ["exited", "Exited (0) 2 seconds ago"],
    ["running", "Up 5 minutes (unhealthy)"],
    ["running", "Up 2 seconds (health: starting)"],
  ])("do not serve while %s: %s", (State, Status) => {
    expect(found([{ ...container("shop-1", "172.17.0.2"), State, Status }])).toEqual({
      ok: true,
      backends: [],
      rejected: [],
    });
  });

  it("serve when their own check says so", () => {
    expect(
      found([{ ...container("shop-1", "172.17.0.2"), Status: "Up 5 minutes (healthy)" }]).backends,
    ).toHaveLength(1);
  });

  it("are reached on the network that is named, or on their only one", () => {
    const both = container("shop-1", "172.17.0.2");
    both.NetworkSettings = {
      Networks: { web: { IPAddress: "172.17.0.2" }, back: { IPAddress: "172.18.0.2" }, off: null },
    };
    expect(found([both], "back").backends[0]?.url).toBe("http://172.18.0.2:8080");
    expect(reasonFor(both)).toBe("is on several networks (web, back): set `network` to one of them");
    expect(reasonFor(both, "else")).toBe('has no address on network "else"');
    const six = container("shop-1", "");
    six.NetworkSettings = { Networks: { web: { IPAddress: "", GlobalIPv6Address: "fd00::2" } } };
    expect(found([six]).backends[0]?.url).toBe("http://[fd00::2]:8080");
    expect(reasonFor({ ...six, NetworkSettings: { Networks: { host: { IPAddress: "" } } } })).toMatch(
      /no address of its own/,
    );
  });

  it("are rejected for a label that is wrong, and the others are not", () => {
    const wrong = {
      "evenkeel.port": ["", "0", "65536", "http", "80.5", "-1"],
      "evenkeel.weight": ["0", "1001", "heavy"],
      "evenkeel.priority": ["10", "first"],
      "evenkeel.scheme": ["ftp", "HTTP"],
      "evenkeel.zone": ["", "eu west"],
      "evenkeel.id": ["", "-a", "a/b", "x".repeat(64)],
    };
    for (const [label, values] of Object.entries(wrong)) {
      for (const value of values) {
        const reason = reasonFor(container("shop-1", "172.17.0.2", { [label]: value }));
        expect(reason).toContain(label);
        expect(reason).toContain(`"${value}"`);
      }
    }
    const { "evenkeel.port": _, ...without } = container("shop-1", "172.17.0.2").Labels ?? {};
    expect(reasonFor({ ...container("shop-1", "172.17.0.2"), Labels: without })).toBe(
      "label evenkeel.port is missing",
    );
    const faulty = container("shop-1", "172.17.0.2", { "evenkeel.weight": "heavy" });
    expect(found([faulty, container("shop-2", "172.17.0.3")])).toMatchObject({
      backends: [{ id: "shop-2" }],
      rejected: [{ what: "shop-1", reason: expect.stringContaining("heavy") }],
    });
  });

  it("go by their own name, not by those of links to them", () => {
    const linked = { ...container("shop-1", "172.17.0.2"), Names: ["/front/db", "/shop-1"] };
    expect(found([linked]).backends[0]?.id).toBe("shop-1");
    expect(found([{ ...linked, Names: [] }]).backends[0]?.id).toBe("shop-1-01234");
  });
});
