import { describe, expect, it } from "vitest";
import { type Fields, fieldOf, STEP } from "../messages/fields.ts";
import { fieldsFrom } from "../test-support/fields.ts";
import { addForwarding, mayPass, trustPeers } from "./forwarding.ts";

const AUTHORITY = "shop.example.com:8080";

function forwarding(incoming: Record<string, string>, trusted: boolean, peer = "192.0.2.7", tls = false) {
  const fields: Fields = [];
  const connection = {
    endpoint: { name: "web", closing: false },
    peer,
    peerPort: 1,
    localAddress: "127.0.0.1",
    localPort: 8080,
    tls: tls ? { servername: null, certificate: null } : null,
  };
  addForwarding(fields, fieldsFrom(incoming), connection, AUTHORITY, trusted);
  const names = fields.filter((_, i) => i % STEP === 1);
  return Object.fromEntries(names.map((name) => [name, fieldOf(fields, name)]));
}

describe("forwarding headers", () => {
  it("say who the peer is, what it asked for and how", () => {
    expect(forwarding({}, false)).toEqual({
      "x-forwarded-for": "192.0.2.7",
      "x-forwarded-proto": "http",
      "x-forwarded-host": "shop.example.com:8080",
      "x-forwarded-port": "8080",
      forwarded: 'for=192.0.2.7;host="shop.example.com:8080";proto=http',
    });
  });

  it("say that the client came over TLS", () => {
    expect(forwarding({}, false, "192.0.2.7", true)).toMatchObject({
      "x-forwarded-proto": "https",
      forwarded: 'for=192.0.2.7;host="shop.example.com:8080";proto=https',
    });
  });

  const told = {
    "x-forwarded-for": "203.0.113.1, 203.0.113.2",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "outside.example",
    "x-forwarded-port": "443",
    forwarded: "for=203.0.113.1;proto=https",
  };

  it("of a trusted peer are believed and extended", () => {
    expect(forwarding(told, true)).toEqual({
      ...told,
      "x-forwarded-for": "203.0.113.1, 203.0.113.2, 192.0.2.7",
      forwarded: 'for=203.0.113.1;proto=https, for=192.0.2.7;host="shop.example.com:8080";proto=http',
    });
  });

  it("of anyone else are replaced", () => {
    expect(forwarding(told, false)).toEqual(forwarding({}, false));
  });

  it("quote an IPv6 address as RFC 7239 asks", () => {
    const { forwarded, "x-forwarded-for": list } = forwarding({}, false, "2001:db8::1");
    expect(forwarded).toBe('for="[2001:db8::1]";host="shop.example.com:8080";proto=http');
    expect(list).toBe("2001:db8::1");
  });

  it.each(["x-forwarded-for", "forwarded", "x_forwarded_for", "x_forwarded-proto"])(
    "%s never passes: the proxy writes it itself, and no other spelling may stand beside it",
    (name) => {
      expect(mayPass(name, false)).toBe(false);
      expect(mayPass(name, true)).toBe(false);
    },
  );

  it.each(["x-real-ip", "x-forwarded-prefix", "x-forwarded-user"])(
    "%s passes from a trusted peer only",
    (name) => {
      expect(mayPass(name, false)).toBe(false);
      expect(mayPass(name, true)).toBe(true);
    },
  );

  it.each(["accept", "x-request-id", "x_custom", "x-forward"])("%s passes from anyone", (name) => {
    expect(mayPass(name, false)).toBe(true);
  });
});

describe("trusted peers", () => {
  it.each([
    ["10.0.0.0/8", "10.1.2.3", true],
    ["10.0.0.0/8", "11.1.2.3", false],
    ["192.0.2.7/32", "192.0.2.7", true],
    ["192.0.2.7/32", "192.0.2.8", false],
    ["0.0.0.0/0", "203.0.113.1", true],
    ["2001:db8::/32", "2001:db8:1::9", true],
    ["2001:db8::/32", "2001:db9::9", false],
    ["2001:db8::/32", "10.1.2.3", false],
    ["10.0.0.0/8", "2001:db8::1", false],
    ["10.0.0.0/8", "::ffff:10.1.2.3", true],
    ["10.0.0.0/8", "unknown", false],
  ])("%s and a peer at %s: %s", (cidr, address, trusted) => {
    expect(trustPeers([cidr])(address)).toBe(trusted);
  });

  it("are nobody when none is configured", () => {
    expect(trustPeers([])("127.0.0.1")).toBe(false);
  });
});
