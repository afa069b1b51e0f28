import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  acceptProxyHeader,
  type ProxySource,
  parseProxyHeader,
  proxyHeader,
  V2_MAX_BYTES,
} from "./proxy-protocol.ts";

const latin1 = (text: string) => Buffer.from(text, "latin1");
const SIGNATURE = "0d0a0d0a000d0a515549540a";
const hex = (text: string) => Buffer.from(SIGNATURE + text.replaceAll(" ", ""), "hex");
const SEED = 4711;

const source = (address: string, port: number, to: string, toPort: number): ProxySource => ({
  address,
  port,
  destination: { address: to, port: toPort },
});

const v1 = "PROXY TCP4 192.0.2.1 203.0.113.7 56324 443\r\n";
const v2 = "21 11 000c c0000201 cb007107 dc04 01bb";

describe("parseProxyHeader", () => {
  it.each([
    ["version 1 over IPv4", latin1(v1), source("192.0.2.1", 56_324, "203.0.113.7", 443)],
    [
      "version 1 over IPv6, in its short spelling",
      latin1("PROXY TCP6 2001:db8:0:0:0:0:0:1 2001:DB8::2 1 2\r\n"),
      source("2001:db8::1", 1, "2001:db8::2", 2),
    ],
    [
      "an IPv4 address written as an IPv6 one",
      latin1("PROXY TCP6 ::ffff:10.0.0.1 ::1 1 2\r\n"),
      source("10.0.0.1", 1, "::1", 2),
    ],
    ["version 1 of an unknown client", latin1("PROXY UNKNOWN\r\n"), null],
    ["version 1 of an unknown client with addresses", latin1("PROXY UNKNOWN 1.2.3.4 x\r\n"), null],
    ["version 2 over IPv4", hex(v2), source("192.0.2.1", 56_324, "203.0.113.7", 443)],
    [
      "version 2 over IPv6",
      hex(`21 21 0024 20010db8${"0".repeat(23)}1 ${"0".repeat(31)}1 0001 0002`),
      source("2001:db8::1", 1, "::1", 2),
    ],
    [
      "version 2 with an IPv4 address written as an IPv6 one",
      hex(`21 21 0024 ${"0".repeat(20)}ffff0a000001 ${"0".repeat(31)}1 0001 0002`),
      source("10.0.0.1", 1, "::1", 2),
    ],
    [
      "version 2 with extensions, skipped",
      hex("21 11 0011 c0000201 cb007107 dc04 01bb 04 0002 aabb"),
      source("192.0.2.1", 56_324, "203.0.113.7", 443),
    ],
    ["LOCAL", hex("20 00 0000"), null],
    ["LOCAL with addresses", hex(v2.replace("21", "20")), null],
    ["an unspecified family", hex("21 00 0003 010203"), null],
    ["a unix socket", hex(`21 31 00d8 ${"61".repeat(216)}`), null],
    ["datagrams", hex(v2.replace("11", "12")), null],
  ])("reads %s", (_, bytes, expected) => {
    const rest = Buffer.concat([bytes, latin1("GET /")]);
    expect(parseProxyHeader(rest)).toEqual({ state: "whole", length: bytes.length, source: expected });
  });

  it.each([
    ["nothing like it", latin1("GET / HTTP/1.1\r\n"), "does not begin"],
    ["a wrong byte early on", latin1("PROXX"), "does not begin"],
    ["a line without CR", latin1(v1.replace("\r", "")), "CRLF"],
    ["a line that is too long", latin1(`PROXY TCP4 ${"1".repeat(96)}`), "too long"],
    ["a long line of an unknown client", latin1(`PROXY UNKNOWN ${"1".repeat(110)}\r\n`), "too long"],
    ["two spaces", latin1(v1.replace(" 443", "  443")), "malformed"],
    ["a tab for a space", latin1(v1.replace(" 443", "\t443")), "malformed"],
    ["a closing space", latin1(v1.replace("\r", " \r")), "malformed"],
    ["a missing port", latin1(v1.replace(" 443", "")), "malformed"],
    ["an unknown protocol", latin1(v1.replace("TCP4", "UDP4")), "malformed"],
    ["a lower-case protocol", latin1(v1.replace("TCP4", "tcp4")), "malformed"],
    ["a port that is too large", latin1(v1.replace("443", "65536")), "address or port"],
    ["a port with a leading zero", latin1(v1.replace("443", "0443")), "address or port"],
    ["a signed port", latin1(v1.replace("443", "+443")), "address or port"],
    ["a part of an address that is too large", latin1(v1.replace("192", "256")), "address or port"],
    ["a leading zero in an address", latin1(v1.replace("192", "010")), "address or port"],
    ["IPv6 under TCP4", latin1(v1.replace("192.0.2.1", "::1")), "address or port"],
    ["IPv4 under TCP6", latin1(v1.replace("TCP4", "TCP6")), "address or port"],
    ["a zone in an address", latin1("PROXY TCP6 fe80::1%lo ::1 1 2\r\n"), "address or port"],
    ["another version", hex(v2.replace("21", "31")), "not 2"],
    ["an unknown command", hex(v2.replace("21", "22")), "LOCAL nor PROXY"],
    ["an unknown family", hex(v2.replace("11", "41")), "family"],
    ["an unknown transport", hex(v2.replace("11", "13")), "family"],
    ["too few bytes for the addresses", hex("21 11 000b c0000201 cb007107 dc04 01"), "too short"],
    ["too many bytes", hex(`21 11 ${(V2_MAX_BYTES + 1).toString(16)} `), "longer than"],
  ])("refuses %s", (_, bytes, reason) => {
    expect(parseProxyHeader(bytes)).toEqual({ state: "invalid", reason: expect.stringContaining(reason) });
  });

  it("asks for more until the last byte, whatever the header", () => {
    for (const whole of [latin1(v1), hex(v2), latin1("PROXY UNKNOWN\r\n"), hex("20 00 0000")]) {
      for (let length = 0; length < whole.length; length += 1) {
        expect(parseProxyHeader(whole.subarray(0, length))).toEqual({ state: "more" });
      }
      expect(parseProxyHeader(whole).state).toBe("whole");
    }
  });

  it("never throws and never waits for more than its bounds", () => {
    const start = fc.constantFrom(
      Buffer.alloc(0),
      latin1("PROXY "),
      latin1("PROXY TCP4 "),
      hex(""),
      hex("21 11"),
    );
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 300 }), (head, tail) => {
        const { state } = parseProxyHeader(Buffer.concat([head, tail]));
        expect(["more", "invalid", "whole"]).toContain(state);
      }),
      { seed: SEED, numRuns: 2_000 },
    );
    expect(parseProxyHeader(Buffer.concat([latin1("PROXY "), Buffer.alloc(101, 65)])).state).toBe("invalid");
    expect(parseProxyHeader(Buffer.concat([hex("20 00 1000"), Buffer.alloc(V2_MAX_BYTES)])).state).toBe(
      "whole",
    );
  });
});

const ipv4 = fc.ipV4();
const port = fc.integer({ min: 0, max: 65_535 });
const plainV6 = fc.ipV6().filter((text) => !/^[0:]*:ffff:/i.test(text) && !text.includes("."));

describe("proxyHeader", () => {
  it("writes what is read back, in both versions and for all mixes of families", () => {
    const address = fc.oneof(ipv4, plainV6);
    const version = fc.constantFrom("v1" as const, "v2" as const);
    fc.assert(
      fc.property(version, address, port, address, port, (v, a, p, b, q) => {
        const bytes = proxyHeader(v, { address: a, port: p }, { address: b, port: q });
        const read = parseProxyHeader(bytes);
        expect(read).toMatchObject({
          state: "whole",
          length: bytes.length,
          source: { port: p, destination: { port: q } },
        });
        // One canonical spelling: written again, it is the same header.
        if (read.state !== "whole" || !read.source) throw new Error("not whole");
        expect(proxyHeader(v, read.source, read.source.destination)).toEqual(bytes);
        if (!a.includes(":")) expect(read.source.address).toBe(a);
        else expect(new URL(`http://[${a}]`).hostname).toBe(`[${read.source.address}]`);
      }),
      { seed: SEED, numRuns: 1_000 },
    );
  });

  it("says that the client is unknown where there is no address", () => {
    for (const version of ["v1", "v2"] as const) {
      const bytes = proxyHeader(version, null, { address: "10.0.0.1", port: 1 });
      expect(parseProxyHeader(bytes)).toEqual({ state: "whole", length: bytes.length, source: null });
      expect(proxyHeader(version, { address: "", port: 1 }, { address: "10.0.0.1", port: 1 })).toEqual(bytes);
    }
  });
});

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Both ends of one connection; the accepted one reads nothing yet. */
async function pair(): Promise<{ client: Socket; accepted: Socket }> {
  const server = createServer({ pauseOnConnect: true });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const arrived = new Promise<Socket>((resolve) => server.once("connection", resolve));
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const accepted = await arrived;
  for (const socket of [client, accepted]) socket.on("error", () => {});
  cleanups.push(() => {
    client.destroy();
    accepted.destroy();
    server.close();
  });
  return { client, accepted };
}

type Accepted = { source: ProxySource | null; rest: Buffer } | string;

const accept = (socket: Socket, timeoutMs = 5_000): Promise<Accepted> =>
  new Promise((resolve) =>
    acceptProxyHeader(socket, { timeoutMs }, (source, rest) => resolve({ source, rest }), resolve),
  );

describe("acceptProxyHeader", () => {
  it("answers source and rest, however the bytes are cut", async () => {
    for (const header of [latin1(v1), hex(v2)]) {
      for (const cut of [1, 5, 13, header.length - 1, header.length, header.length + 2]) {
        const { client, accepted } = await pair();
        client.setNoDelay(true);
        const all = Buffer.concat([header, latin1("hello")]);
        const answer = accept(accepted);
        client.write(all.subarray(0, cut));
        await new Promise((resolve) => setImmediate(resolve));
        client.write(all.subarray(cut));
        const { source, rest } = (await answer) as Exclude<Accepted, string>;
        expect(source?.address).toBe("192.0.2.1");
        expect("hello".startsWith(rest.toString("latin1"))).toBe(true);
        let text = rest.toString("latin1");
        accepted.on("data", (chunk) => {
          text += chunk.toString("latin1");
        });
        accepted.resume();
        await vi.waitFor(() => expect(text).toBe("hello"));
      }
    }
  });

  it("fails on what is no header, and leaves the socket to the caller", async () => {
    const { client, accepted } = await pair();
    client.write("GET / HTTP/1.1\r\n");
    expect(await accept(accepted)).toContain("does not begin");
    expect(accepted.destroyed).toBe(false);
    expect(accepted.listenerCount("data")).toBe(0);
  });

  it("fails when the connection ends or breaks first", async () => {
    for (const leave of ["end", "resetAndDestroy"] as const) {
      const { client, accepted } = await pair();
      const answer = accept(accepted);
      client.write("PROXY ");
      client[leave]();
      expect(await answer).toMatch(/ended before|ECONNRESET/);
    }
  });

  it("fails when the header takes too long, however it trickles in", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { client, accepted } = await pair();
    const answer = accept(accepted, 1_000);
    client.write("PROXY ");
    vi.advanceTimersByTime(999);
    expect(accepted.listenerCount("data")).toBe(1);
    vi.advanceTimersByTime(1);
    expect(await answer).toContain("in time");
    expect(vi.getTimerCount()).toBe(0);
  });

  it("hands a socket over to TLS without losing a byte", async () => {
    // The rest is put back before the TLS socket is made: it drains what is already there.
    const { client, accepted } = await pair();
    const failed = new Promise<Error>((resolve) => {
      const tls = createTlsServer({}).on("tlsClientError", resolve);
      acceptProxyHeader(
        accepted,
        { timeoutMs: 5_000 },
        (_, rest) => {
          accepted.unshift(rest);
          tls.emit("connection", accepted);
        },
        () => {},
      );
    });
    client.write(Buffer.concat([latin1(v1), latin1("this is not TLS, and TLS says so\r\n")]));
    expect((await failed).message).toMatch(/http request|wrong version|ssl/i);
  });
});
