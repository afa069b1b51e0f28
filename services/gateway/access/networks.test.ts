import { describe, expect, it } from "vitest";
import { compileNetworks } from "./networks.ts";

const allowed = (allow: string[] | null, deny: string[], addresses: string[]) => {
  const welcome = compileNetworks({ allow, deny });
  return addresses.filter(welcome);
};

describe("client networks", () => {
  it("let everybody in where nothing is said", () => {
    expect(compileNetworks(null)("192.0.2.1")).toBe(true);
    expect(allowed(null, [], ["192.0.2.1", "2001:db8::1"])).toHaveLength(2);
  });

  it("let only those in that are allowed", () => {
    const asking = ["10.1.2.3", "11.0.0.1", "fd00::1", "fe80::1", "::ffff:10.1.2.3", "::ffff:11.0.0.1"];
    expect(allowed(["10.0.0.0/8", "fd00::/8"], [], asking)).toEqual([
      "10.1.2.3",
      "fd00::1",
      "::ffff:10.1.2.3",
    ]);
  });

  it("let nobody in that is denied, however exactly it is allowed", () => {
    const asking = ["10.0.0.13", "10.0.0.14", "::ffff:10.0.0.13", "::ffff:a00:d"];
    expect(allowed(["10.0.0.13/32", "10.0.0.0/8"], ["10.0.0.13/32"], asking)).toEqual(["10.0.0.14"]);
    expect(allowed(["10.0.0.13/32"], ["10.0.0.0/8"], asking)).toEqual([]);
  });

  it("let all others in where some are denied", () => {
    expect(allowed(null, ["10.0.0.0/8"], ["10.0.0.1", "192.0.2.1", "2001:db8::1"])).toEqual([
      "192.0.2.1",
      "2001:db8::1",
    ]);
  });

  it("understand networks of mapped addresses as those of IPv4", () => {
    expect(allowed(null, ["::ffff:10.0.0.0/104"], ["10.9.9.9", "192.0.2.1"])).toEqual(["192.0.2.1"]);
  });

  it("let nothing in that is no address", () => {
    for (const text of ["", "localhost", "fe80::1%eth0", "10.0.0", "10.0.0.1.", "010.0.0.1x"]) {
      expect(compileNetworks({ allow: null, deny: ["192.0.2.0/24"] })(text), text).toBe(false);
      expect(compileNetworks({ allow: ["0.0.0.0/0", "::/0"], deny: [] })(text), text).toBe(false);
    }
  });
});
