import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { authorityOf, BACKEND_SCHEMES, backendAddress, backendFamily, backendOrigin } from "./backend-url.ts";
import { originFault } from "./patterns.ts";

describe("the url of a backend", () => {
  test.each([
    ["http://Shop.Internal", "http://shop.internal", "shop.internal", 80],
    ["http://shop.internal:80/", "http://shop.internal", "shop.internal", 80],
    ["https://shop.internal", "https://shop.internal", "shop.internal", 443],
    ["https://shop.internal:443", "https://shop.internal", "shop.internal", 443],
    ["https://shop.internal:80", "https://shop.internal:80", "shop.internal", 80],
    ["http://10.0.0.1:8080", "http://10.0.0.1:8080", "10.0.0.1", 8080],
    ["http://10.1:8080", "http://10.0.0.1:8080", "10.0.0.1", 8080],
    ["http://[FD00:0::1]:8080", "http://[fd00::1]:8080", "fd00::1", 8080],
    ["tcp://Db.Internal:5432", "tcp://db.internal:5432", "db.internal", 5432],
    ["tcp://db.internal:80", "tcp://db.internal:80", "db.internal", 80],
    ["tcp://[::1]:5432/", "tcp://[::1]:5432", "::1", 5432],
    ["udp://10.0.0.1:53", "udp://10.0.0.1:53", "10.0.0.1", 53],
  ])("%s is accepted, and spelled %s", (url, origin, host, port) => {
    expect(originFault(url)).toBeNull();
    expect(backendOrigin(url)).toBe(origin);
    expect(backendAddress(url)).toMatchObject({ host, port });
  });

  test.each([
    ["ftp://h:1", 'scheme "ftp" is not supported'],
    ["tcp://h", "has no port: tcp has none of its own, so write tcp://h:5432"],
    ["udp://h", "has no port: udp has none of its own, so write udp://h:53"],
    ["udp://[::1]", "has no port"],
    ["tcp://h:0", 'port "0"'],
    ["tcp://u:p@h:1", "credentials"],
    ["tcp://h:1/x", 'remove "/x"'],
    ["https://h?x", 'remove "?x"'],
    ["https://", "no valid host"],
    ["tcp://999.0.0.1:1", "no valid host"],
    ["h:1", "must be an origin such as"],
  ])("%s is refused", (url, message) => {
    expect(originFault(url)).toContain(message);
  });

  test("of https shares pools with http, and others only with their own", () => {
    const urls = ["http://h", "https://h", "tcp://h:1", "udp://h:1", "ftp://h"];
    expect(urls.map(backendFamily)).toEqual(["http", "http", "tcp", "udp", null]);
  });

  test("has one spelling, which stays as it is", () => {
    const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,8}[A-Za-z]$/);
    const host = fc.oneof(
      name,
      fc.ipV4(),
      fc.ipV6().map((address) => `[${address}]`),
    );
    const url = fc
      .tuple(fc.constantFrom(...BACKEND_SCHEMES), host, fc.integer({ min: 1, max: 65_535 }))
      .map(([scheme, at, port]) => `${scheme}://${at}:${port}`);
    fc.assert(
      fc.property(url, (text) => {
        if (originFault(text) !== null) return;
        const origin = backendOrigin(text);
        const address = backendAddress(text);
        expect(originFault(origin)).toBeNull();
        expect(backendOrigin(origin)).toBe(origin);
        expect(backendAddress(origin)).toEqual(address);
        if (address) expect(origin).toBe(`${address.scheme}://${authorityOf(address)}`);
      }),
      { seed: 7 },
    );
  });
});
