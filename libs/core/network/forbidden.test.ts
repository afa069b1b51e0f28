import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { forbiddenAddress } from "./forbidden.ts";

describe("a forbidden address", () => {
  it.each([
    ["169.254.169.254", "link-local"],
    ["169.254.0.1", "link-local"],
    ["fe80::1", "link-local"],
    ["FEBF::1", "link-local"],
    ["fd00:ec2::254", "credentials"],
    ["fd00:0ec2:0:0:0:0:0:0254", "credentials"],
    ["100.100.100.200", "credentials"],
    ["0.0.0.0", "unspecified"],
    ["0.1.2.3", "unspecified"],
    ["::", "unspecified"],
    ["224.0.0.1", "multicast"],
    ["239.255.255.255", "multicast"],
    ["ff02::1", "multicast"],
    ["255.255.255.255", "broadcast"],
  ])("%s is told with its reason", (host, reason) => {
    expect(forbiddenAddress(host)).toContain(reason);
    expect(forbiddenAddress(host)).toContain(host);
  });

  it.each([
    "[fe80::1]",
    "fe80::1%eth0",
    "[fe80::1%25eth0]",
    " 169.254.169.254 ",
    "169.254.169.254.",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "0:0:0:0:0:ffff:169.254.169.254",
    "[::ffff:169.254.169.254]",
    "::169.254.169.254",
    "::ffff:0:169.254.169.254",
    "64:ff9b::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "2852039166",
    "0xa9fea9fe",
    "0xA9.0xFE.0xA9.0xFE",
    "0251.0376.0251.0376",
    "169.254.43518",
    "169.16689662",
    "169.254.169.0376",
    "１６９.254.169.254",
    "0",
    "0x0",
    "::0",
    "::ffff:0.0.0.0",
    "::ffff:255.255.255.255",
    "[::ffff:e000:1]",
  ])("%j is known in whatever spelling", (host) => {
    expect(forbiddenAddress(host)).not.toBeNull();
  });

  it("is one even where only some readers see it", () => {
    expect(forbiddenAddress("0340.0.0.1")).toContain("multicast");
    expect(forbiddenAddress("0224.0.0.1")).toContain("multicast");
  });

  it.each([
    "10.0.0.1",
    "127.0.0.1",
    "192.168.1.1",
    "169.253.255.255",
    "169.255.0.0",
    "223.255.255.255",
    "240.0.0.1",
    "::1",
    "[::1]",
    "2001:db8::1",
    "fd00:ec2::253",
    "fd00::1",
    "fe00::1",
    "fec0::1",
    "::ffff:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "2002:a00:1::1",
  ])("%s is none", (host) => {
    expect(forbiddenAddress(host)).toBeNull();
  });

  it.each(["shop-1", "shop.example.com", "localhost", "169.254.169.254.nip.io", "", "not a host", "::x"])(
    "%j is a name, or nothing that is connected to",
    (host) => {
      expect(forbiddenAddress(host)).toBeNull();
    },
  );

  it("is any of its network, however it is embedded, and no other", () => {
    const octet = fc.nat(255);
    const v4 = fc.tuple(fc.oneof(octet, fc.constantFrom(0, 169, 224, 255)), octet, octet, octet);
    const forms: ((address: string) => string)[] = [
      (address) => address,
      (address) => `::ffff:${address}`,
      (address) => `64:ff9b::${address}`,
      (address) => String(address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0)),
    ];
    fc.assert(
      fc.property(v4, fc.constantFrom(...forms), (parts, form) => {
        const [a, b] = parts;
        const address = parts.join(".");
        const forbidden =
          a === 0 ||
          (a === 169 && b === 254) ||
          (a >= 224 && a < 240) ||
          ["255.255.255.255", "100.100.100.200", "168.63.129.16", "192.0.0.192"].includes(address);
        // ::0.x.y.z behind a prefix is an address like others, save the unspecified one.
        if (a === 0 && form(address).startsWith("64:")) return;
        expect(forbiddenAddress(form(address)) !== null).toBe(forbidden);
      }),
      { seed: 7, numRuns: 2_000 },
    );
  });
});
