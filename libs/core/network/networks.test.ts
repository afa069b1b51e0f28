import { BlockList, isIPv6 } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createNetworks, parseAddress } from "./networks.ts";

const networks = (table: Record<string, string>) =>
  createNetworks(Object.entries(table).map(([cidr, value]) => ({ cidr, value })));

describe("networks", () => {
  it("are told by the longest prefix, in IPv4 and IPv6", () => {
    const { find } = networks({
      "0.0.0.0/0": "world",
      "10.0.0.0/8": "ten",
      "10.1.0.0/16": "one",
      "10.1.2.3/32": "me",
      "2001:db8::/32": "docs",
      "2001:db8:0:1::/64": "lab",
      "2001:db8::1.2.3.4/128": "host",
    });
    expect(find("192.0.2.1")).toBe("world");
    expect(find("10.255.0.1")).toBe("ten");
    expect(find("10.1.255.255")).toBe("one");
    expect(find("10.1.2.3")).toBe("me");
    expect(find("2001:DB8:ffff::1")).toBe("docs");
    expect(find("2001:db8:0:1:ffff::")).toBe("lab");
    expect(find("2001:db8::102:304")).toBe("host");
    expect(find("2001:db9::1")).toBeNull();
  });

  it("take the high half of IPv4 addresses for what it is", () => {
    const { find } = networks({ "200.0.0.0/8": "high", "255.255.255.255/32": "last" });
    expect(find("200.255.1.1")).toBe("high");
    expect(find("255.255.255.255")).toBe("last");
    expect(find("100.0.0.1")).toBeNull();
  });

  it("find an IPv4 address that is written as an IPv6 one, and a network likewise", () => {
    const { find } = networks({ "10.0.0.0/8": "ten", "::ffff:192.0.2.0/120": "mapped" });
    expect(find("::ffff:10.1.2.3")).toBe("ten");
    expect(find("::ffff:a01:203")).toBe("ten");
    expect(find("192.0.2.77")).toBe("mapped");
    expect(find("192.0.3.77")).toBeNull();
  });

  it("of all IPv6 hold no IPv4 address, nor the other way round", () => {
    expect(networks({ "::/0": "six" }).find("10.0.0.1")).toBeNull();
    expect(networks({ "0.0.0.0/0": "four" }).find("::1")).toBeNull();
  });

  it.each(["", "unknown", "1.2.3", "1.2.3.256", "1.2.3.4.5", ":", "1::2::3", "1:2:3", "::12345", "::1.2.3"])(
    "do not find %j, which is no address",
    (text) => {
      expect(parseAddress(text)).toBeNull();
      expect(networks({ "0.0.0.0/0": "a", "::/0": "b" }).find(text)).toBeNull();
    },
  );

  it("hold exactly the addresses that Node's own list holds", () => {
    const v4 = fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 }), fc.ipV4());
    const v6 = fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 }), fc.ipV6());
    fc.assert(
      fc.property(fc.oneof(v4, v6), fc.boolean(), ([network, bits, other], near) => {
        const address = near ? network : other;
        const family = isIPv6(network) ? "ipv6" : "ipv4";
        const list = new BlockList();
        list.addSubnet(network, bits, family);
        const mapped = typeof parseAddress(address) === "number" && address.includes(":");
        if (mapped) return; // where the two differ on purpose
        const found = networks({ [`${network}/${bits}`]: "in" }).find(address);
        expect(found !== null).toBe(list.check(address, family));
      }),
    );
  });
});
