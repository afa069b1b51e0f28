import { describe, expect, it } from "vitest";
import { fieldsFrom } from "../test-support/fields.ts";
import { clientBehind } from "./client-address.ts";
import { plainAddress, trustPeers } from "./forwarding.ts";

const trust = trustPeers(["10.0.0.0/8", "fd00::/8"]);

const address = (remoteAddress: string, told?: string) => {
  const fields = fieldsFrom(told === undefined ? {} : { "X-Forwarded-For": told });
  return clientBehind(plainAddress(remoteAddress), fields, trust);
};

describe("the client's address", () => {
  it("is the peer's, whatever it says, unless the peer is trusted", () => {
    expect(address("192.0.2.1")).toBe("192.0.2.1");
    expect(address("192.0.2.1", "203.0.113.9")).toBe("192.0.2.1");
    expect(address("::ffff:192.0.2.1", "203.0.113.9")).toBe("192.0.2.1");
  });

  it("is the last one in X-Forwarded-For that is not a trusted proxy's", () => {
    expect(address("10.0.0.1", "203.0.113.9")).toBe("203.0.113.9");
    expect(address("::ffff:10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.7 ,10.0.0.8")).toBe("203.0.113.9");
    expect(address("fd00::1", "2001:db8::9, fd00::2")).toBe("2001:db8::9");
  });

  it("is the farthest trusted proxy's where all are trusted", () => {
    expect(address("10.0.0.1", "10.0.0.3,10.0.0.2")).toBe("10.0.0.3");
    expect(address("10.0.0.1")).toBe("10.0.0.1");
  });

  it("stops at what is no address", () => {
    expect(address("10.0.0.1", "203.0.113.9, unknown, 10.0.0.2")).toBe("10.0.0.2");
    expect(address("10.0.0.1", "")).toBe("10.0.0.1");
    expect(address("10.0.0.1", ", ,")).toBe("10.0.0.1");
  });

  it("is told without a port, brackets or the prefix of mapped addresses", () => {
    expect(address("10.0.0.1", "203.0.113.9:4711")).toBe("203.0.113.9");
    expect(address("10.0.0.1", "[2001:db8::9]:4711")).toBe("2001:db8::9");
    expect(address("10.0.0.1", "::ffff:203.0.113.9")).toBe("203.0.113.9");
  });

  it("is looked for past a bounded number of proxies", () => {
    const hops = Array.from({ length: 40 }, (_, i) => `10.0.1.${i}`);
    expect(address("10.0.0.1", ["203.0.113.9", ...hops].join(","))).toBe("10.0.1.24");
  });
});
