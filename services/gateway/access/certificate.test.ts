import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { splitNames } from "./certificate.ts";
import { askAtOnce, compile, createTestServices } from "./test-support/asking.ts";

const FINGERPRINT = "ab".repeat(32);
const CERTIFICATE = {
  subject: "CN=alice,O=Example",
  names: "DNS:Alice.example, URI:spiffe://prod/billing, IP Address:10.0.0.1",
  fingerprint: FINGERPRINT,
};

function refusedWith(clientCertificate: object, certificate: typeof CERTIFICATE | null) {
  const access = compile({ access: { clientCertificate } }, createTestServices());
  return askAtOnce(access, { certificate, tls: true })?.refusal?.status ?? null;
}

describe("client certificates", () => {
  it("are needed, over TLS and over plain text alike", () => {
    expect(refusedWith({}, null)).toBe(403);
    const access = compile({ access: { clientCertificate: {} } }, createTestServices());
    expect(askAtOnce(access, { tls: false })?.refusal?.status).toBe(403);
  });

  it("may be any verified one where none is named", () => {
    expect(refusedWith({}, CERTIFICATE)).toBeNull();
  });

  it.each([
    ["its whole subject", { subjects: ["CN=bob", "CN=alice,O=Example"] }],
    ["one of its names", { names: ["URI:spiffe://prod/billing"] }],
    ["a DNS name in any case", { names: ["DNS:alice.EXAMPLE"] }],
    [
      "its fingerprint, as OpenSSL prints it",
      { fingerprints: [FINGERPRINT.toUpperCase().replaceAll(/..(?!$)/g, "$&:")] },
    ],
    ["one list of several", { subjects: ["CN=bob"], names: ["DNS:alice.example"] }],
  ])("pass by %s", (_, wanted) => {
    expect(refusedWith(wanted, CERTIFICATE)).toBeNull();
  });

  it.each([
    ["a part of the subject", { subjects: ["CN=alice"] }],
    ["a subject in another case", { subjects: ["cn=alice,o=example"] }],
    ["a name of another kind", { names: ["DNS:spiffe://prod/billing"] }],
    ["the beginning of a name", { names: ["URI:spiffe://prod"] }],
    ["a URI in another case", { names: ["URI:SPIFFE://prod/billing"] }],
    ["another fingerprint", { fingerprints: ["cd".repeat(32)] }],
  ])("do not pass by %s", (_, wanted) => {
    expect(refusedWith(wanted, CERTIFICATE)).toBe(403);
  });

  it("cannot bring a second name inside of one", () => {
    const tricky = { ...CERTIFICATE, names: 'DNS:"evil.example, DNS:alice.example", DNS:evil.example' };
    expect(refusedWith({ names: ["DNS:alice.example"] }, tricky)).toBe(403);
    expect(splitNames('URI:"a\\", DNS:b, c", DNS:d')).toEqual(['URI:"a\\", DNS:b, c"', "DNS:d"]);
  });

  it("with plain names have exactly those, and any text is read without losing a part", () => {
    const plain = fc.array(fc.stringMatching(/^(DNS|URI):[a-z0-9.:/-]{1,20}$/), { maxLength: 8 });
    fc.assert(
      fc.property(plain, (names) => {
        expect(splitNames(names.join(", "))).toEqual(names);
      }),
      { seed: 31 },
    );
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(splitNames(text).join("").replaceAll(/[\s,]/g, "")).toBe(text.replaceAll(/[\s,]/g, ""));
      }),
      { seed: 32 },
    );
  });

  it("without a subject or names match nothing empty", () => {
    const bare = { subject: "", names: "", fingerprint: FINGERPRINT };
    expect(refusedWith({ subjects: ["CN=alice"], names: ["DNS:a"] }, bare)).toBe(403);
  });

  it("tell backends who it is", () => {
    const part = { access: { clientCertificate: {}, consumerHeader: "x-consumer" } };
    const told = askAtOnce(compile(part, createTestServices()), { certificate: CERTIFICATE });
    expect(told?.grant?.set).toEqual(["x-consumer", "x-consumer", "CN=alice,O=Example"]);
  });
});
