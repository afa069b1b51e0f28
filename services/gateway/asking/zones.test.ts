import { mkdtemp, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Geography } from "@evenkeel/core/config/resolve.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { fieldsFrom } from "../test-support/fields.ts";
import { type Located, locationFile } from "../test-support/location-file.ts";
import { createZones } from "./zones.ts";

const ZONES = [
  { name: "eu", latitude: 50.1, longitude: 8.7 },
  { name: "us", latitude: 39, longitude: -77.5 },
  { name: "edge", latitude: null, longitude: null },
];
const PARIS: Located = { cidr: "203.0.113.0/24", latitude: 48.9, longitude: 2.4 };
const BOSTON: Located = { cidr: "198.51.100.0/25", latitude: 42.4, longitude: -71.1 };

const geography = (more: Partial<Geography> = {}): Geography => ({
  zones: ZONES,
  header: null,
  networks: [],
  maxmind: null,
  ...more,
});

function setUp(own = "") {
  const logged: string[] = [];
  const log = Object.fromEntries(
    ["info", "warn", "error"].map((level) => [
      level,
      (fields: { reason?: string }, text: string) => logged.push(`${level}: ${text} ${fields.reason ?? ""}`),
    ]),
  );
  const metrics = createMetrics();
  const zones = createZones({ own, metrics, log: log as unknown as Log });
  onTestFinished(() => zones.close());
  const unusable = async () => {
    const metric = metrics.registry.getSingleMetric("evenkeel_gateway_location_file_unusable");
    return (await metric?.get())?.values[0]?.value;
  };
  return { zones, logged, unusable };
}

async function temporaryFile() {
  const directory = await mkdtemp(join(tmpdir(), "evenkeel-zones-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  return join(directory, "city.mmdb");
}

describe("the zone of a request", () => {
  it("is what the header names, if that is a zone and the peer is trusted", () => {
    const { zones } = setUp("us");
    const zoneOf = zones.configure(geography({ header: "x-zone" }));
    expect(zoneOf("192.0.2.1", fieldsFrom({ "x-zone": "eu" }))).toBe("eu");
    expect(zoneOf("192.0.2.1", fieldsFrom({ "x-zone": "mars" }))).toBe("us");
    expect(zoneOf("192.0.2.1", [])).toBe("us");
    expect(zoneOf("192.0.2.1", null)).toBe("us");
  });

  it("else is that of the longest network with the address", () => {
    const { zones } = setUp();
    const networks = [
      { cidr: "10.0.0.0/8", zone: "eu" },
      { cidr: "10.9.0.0/16", zone: "us" },
      { cidr: "2001:db8::/32", zone: "edge" },
    ];
    const zoneOf = zones.configure(geography({ header: "x-zone", networks }));
    expect(zoneOf("10.8.0.1", null)).toBe("eu");
    expect(zoneOf("10.9.0.1", null)).toBe("us");
    expect(zoneOf("10.9.0.1", fieldsFrom({ "x-zone": "eu" }))).toBe("eu");
    expect(zoneOf("2001:db8::1", null)).toBe("edge");
    expect(zoneOf("192.0.2.1", null)).toBeUndefined();
    expect(zoneOf("unknown", null)).toBeUndefined();
  });

  it("else is the one nearest to where the file of locations has the address", async () => {
    const file = await temporaryFile();
    await writeFile(file, locationFile([PARIS, BOSTON]));
    const { zones, logged, unusable } = setUp("edge");
    const networks = [{ cidr: "203.0.113.128/25", zone: "us" }];
    const zoneOf = zones.configure(geography({ maxmind: file, networks }));
    expect(zoneOf("203.0.113.1", null)).toBe("edge"); // not open yet
    await vi.waitFor(() => expect(zoneOf("203.0.113.1", null)).toBe("eu"), 5_000);
    expect(zoneOf("198.51.100.7", null)).toBe("us");
    expect(zoneOf("203.0.113.200", null)).toBe("us");
    expect(zoneOf("198.51.100.200", null)).toBe("edge");
    expect(zoneOf("2001:db8::1", null)).toBe("edge");
    expect(zoneOf("unknown", null)).toBe("edge");
    expect(await unusable()).toBe(0);
    expect(logged).toEqual([expect.stringContaining("info: file of locations opened")]);
  });

  it("else is the gateway's own, unless the geography has no such zone", () => {
    const inside = setUp("us");
    expect(inside.zones.configure(geography())("192.0.2.1", null)).toBe("us");
    const outside = setUp("mars");
    expect(outside.zones.configure(geography())("192.0.2.1", null)).toBeUndefined();
    expect(outside.logged).toEqual([expect.stringContaining("this gateway's zone is not in the geography")]);
  });

  it("follows a new geography, and is not built anew for an equal one", () => {
    const { zones } = setUp();
    const networks = [{ cidr: "10.0.0.0/8", zone: "eu" }];
    const zoneOf = zones.configure(geography({ networks }));
    expect(zones.configure(geography({ networks: [...networks] }))).toBe(zoneOf);
    const next = zones.configure(geography({ networks: [{ cidr: "10.0.0.0/8", zone: "us" }] }));
    expect(next("10.0.0.1", null)).toBe("us");
  });
});

describe("a file of locations", () => {
  it.each([
    ["is missing", null, /ENOENT/],
    ["is none", Buffer.from("no database at all"), /./],
    ["is compressed", Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]), /gzip/],
  ])("that %s is said once, and requests come from the gateway's zone", async (_, content, reason) => {
    const file = await temporaryFile();
    if (content) await writeFile(file, content);
    const { zones, logged, unusable } = setUp("us");
    const zoneOf = zones.configure(geography({ maxmind: file }));
    await vi.waitFor(async () => expect(await unusable()).toBe(1), 5_000);
    expect(zoneOf("203.0.113.1", null)).toBe("us");
    expect(logged).toEqual([expect.stringMatching(reason)]);
    expect(logged[0]).toContain("error: file of locations unusable");
  });

  it.each<[string, (file: string) => Promise<void>, RegExp]>([
    ["never ends", (file) => symlink("/dev/zero", file), /no regular file/],
    [
      "is too large",
      async (file) => {
        await writeFile(file, "");
        await truncate(file, 512 * 1024 * 1024 + 1);
      },
      /536870913 bytes/,
    ],
  ])("that %s is not read, and said once", async (_, make, reason) => {
    const file = await temporaryFile();
    await make(file);
    const { zones, logged, unusable } = setUp("us");
    const zoneOf = zones.configure(geography({ maxmind: file }));
    await vi.waitFor(async () => expect(await unusable()).toBe(1), 5_000);
    expect(zoneOf("203.0.113.1", null)).toBe("us");
    expect(logged).toEqual([expect.stringMatching(reason)]);
  });

  it("that is repaired or replaced is opened again", async () => {
    vi.useFakeTimers({ toFake: ["setInterval"] });
    onTestFinished(() => void vi.useRealTimers());
    const file = await temporaryFile();
    const { zones, unusable } = setUp("us");
    const zoneOf = zones.configure(geography({ maxmind: file }));
    await vi.waitFor(async () => expect(await unusable()).toBe(1));
    for (const [place, zone] of [
      [{ ...PARIS }, "eu"],
      [{ ...BOSTON, cidr: PARIS.cidr }, "us"],
      [{ ...PARIS }, "eu"],
    ] as const) {
      await writeFile(`${file}.new`, locationFile([place]));
      await rename(`${file}.new`, file);
      vi.advanceTimersByTime(5_000);
      await vi.waitFor(() => expect(zoneOf("203.0.113.1", null)).toBe(zone), 5_000);
    }
    expect(await unusable()).toBe(0);
  });
});
