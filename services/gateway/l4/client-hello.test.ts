import { type AddressInfo, createServer } from "node:net";
import { connect } from "node:tls";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_HELLO_WIRE_BYTES, parseClientHello } from "./client-hello.ts";

const SEED = 4711;

const u8 = (n: number) => Buffer.from([n]);
const u16 = (n: number) => Buffer.from([n >> 8, n & 255]);
const u24 = (n: number) => Buffer.from([n >> 16, (n >> 8) & 255, n & 255]);
const vector8 = (body: Buffer) => Buffer.concat([u8(body.length), body]);
const vector16 = (body: Buffer) => Buffer.concat([u16(body.length), body]);
const latin1 = (text: string) => Buffer.from(text, "latin1");

const extension = (type: number, body: Buffer) => Buffer.concat([u16(type), vector16(body)]);
const sni = (...names: string[]) =>
  extension(0, vector16(Buffer.concat(names.map((name) => Buffer.concat([u8(0), vector16(latin1(name))])))));
const alpn = (...names: string[]) =>
  extension(16, vector16(Buffer.concat(names.map((name) => vector8(latin1(name))))));

const helloBody = (extensions: Buffer | null) =>
  Buffer.concat([
    u16(0x0303),
    Buffer.alloc(32, 7),
    vector8(Buffer.alloc(32, 9)),
    vector16(u16(0x1301)),
    vector8(u8(0)),
    ...(extensions ? [vector16(extensions)] : []),
  ]);

const message = (body: Buffer, type = 1) => Buffer.concat([u8(type), u24(body.length), body]);
const record = (body: Buffer, type = 22, version = 0x0301) =>
  Buffer.concat([u8(type), u16(version), vector16(body)]);

const hello = (...extensions: Buffer[]) => record(message(helloBody(Buffer.concat(extensions))));

const whole = (servername: string | null, protocols: string[] = []) => ({
  state: "whole",
  servername,
  protocols,
});

/** The bytes that a real client sends first. */
async function realHello(options: { servername?: string; ALPNProtocols?: string[] }): Promise<Buffer> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const first = new Promise<Buffer>((resolve) => {
    server.once("connection", (socket) => {
      socket
        .on("error", () => {})
        .once("data", (data: Buffer) => {
          resolve(data);
          socket.destroy();
        });
    });
  });
  const client = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", ...options });
  client.on("error", () => {});
  const bytes = await first;
  server.close();
  return bytes;
}

describe("parseClientHello", () => {
  it("reads what a real client sends, whatever number of bytes came so far", async () => {
    const bytes = await realHello({ servername: "Shop.Example.com", ALPNProtocols: ["h2", "http/1.1"] });
    expect(parseClientHello(bytes)).toEqual(whole("shop.example.com", ["h2", "http/1.1"]));
    for (let length = 0; length < bytes.length; length += 1) {
      expect(parseClientHello(bytes.subarray(0, length))).toEqual({ state: "more" });
    }
    expect(parseClientHello(await realHello({}))).toEqual(whole(null));
  });

  it.each([
    ["a name", hello(sni("a.example")), whole("a.example")],
    ["a name in capitals and with a closing dot", hello(sni("A.EXAMPLE.")), whole("a.example")],
    ["no name", hello(alpn("h2")), whole(null, ["h2"])],
    [
      "extensions of all kinds",
      hello(extension(0x0a0a, Buffer.alloc(0)), sni("a"), extension(43, u16(1))),
      whole("a"),
    ],
    ["no extensions", record(message(helloBody(null))), whole(null)],
    [
      "what follows in the same record",
      record(Buffer.concat([message(helloBody(sni("a"))), latin1("x")])),
      whole("a"),
    ],
  ])("takes %s", (_, bytes, expected) => {
    expect(parseClientHello(bytes)).toEqual(expected);
    expect(parseClientHello(Buffer.concat([bytes, latin1("early data")]))).toEqual(expected);
  });

  it.each([
    ["HTTP", latin1("GET / HTTP/1.1\r\n"), "no TLS"],
    ["an SSL 2 hello", Buffer.from([0x80, 0x2e, 1, 3, 1]), "no TLS"],
    ["another record", record(latin1("x"), 21), "no TLS"],
    ["another protocol version", Buffer.from([22, 2]), "no TLS"],
    ["an empty record", Buffer.from([22, 3, 1, 0, 0]), "length"],
    ["a record that is too long", Buffer.from([22, 3, 1, 0x40, 1]), "length"],
    ["another message", record(message(helloBody(null), 2)), "no ClientHello"],
    ["a message that is too long", record(Buffer.from([1, 0, 0x40, 1])), "too long"],
    [
      "another record in between",
      Buffer.concat([record(Buffer.from([1, 0, 1])), record(latin1("x"), 23)]),
      "no TLS",
    ],
    ["a message that is too short", record(message(Buffer.alloc(33, 3))), "malformed"],
    ["bytes after the extensions", record(message(Buffer.concat([helloBody(sni("a")), u8(0)]))), "malformed"],
    ["an extension that is too long", hello(u16(0), u16(9), u8(1)), "malformed"],
    ["two names", hello(sni("a", "b")), "server name"],
    ["the extension twice", hello(sni("a"), sni("b")), "server name"],
    ["an empty name", hello(sni("")), "server name"],
    ["NUL in a name", hello(sni("a.example\0.evil")), "server name"],
    ["an empty label", hello(sni("a..b")), "server name"],
    ["a name that is too long", hello(sni("a".repeat(254))), "server name"],
    [
      "bytes after the name",
      hello(extension(0, Buffer.concat([vector16(Buffer.concat([u8(0), vector16(latin1("a"))])), u8(0)]))),
      "server name",
    ],
    ["an empty protocol", hello(alpn("")), "malformed"],
    ["no protocols", hello(alpn()), "malformed"],
    ["protocols twice", hello(alpn("h2"), alpn("h2")), "malformed"],
    ["too many protocols", hello(alpn(...new Array(65).fill("h2"))), "malformed"],
  ])("refuses %s", (_, bytes, reason) => {
    expect(parseClientHello(bytes)).toEqual({ state: "invalid", reason: expect.stringContaining(reason) });
  });

  it("does not care how the message is cut into records", () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(cuts, (sizes) => {
        let rest = message(helloBody(Buffer.concat([sni("a.example"), alpn("h2")])));
        const records: Buffer[] = [];
        for (let i = 0; rest.length > 0; i += 1) {
          const size = sizes[i % sizes.length] as number;
          records.push(record(rest.subarray(0, size)));
          rest = rest.subarray(size);
        }
        const bytes = Buffer.concat(records);
        expect(parseClientHello(bytes)).toEqual(whole("a.example", ["h2"]));
        expect(parseClientHello(bytes.subarray(0, -1))).toEqual({ state: "more" });
      }),
      { seed: SEED },
    );
  });

  it("gives up on a message cut into too many records", () => {
    const start = record(Buffer.from([1, 0, 0x3f]));
    const crumbs = Buffer.concat(new Array(Math.ceil(MAX_HELLO_WIRE_BYTES / 6)).fill(record(u8(3))));
    expect(parseClientHello(Buffer.concat([start, crumbs]))).toMatchObject({ state: "invalid" });
  });

  it("never throws, whatever comes", () => {
    const sound = hello(sni("a.example"), alpn("h2"));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(sound.length - 1), fc.nat(255)), { maxLength: 8 }),
        fc.nat(sound.length),
        (changes, length) => {
          const bytes = Buffer.from(sound);
          for (const [at, value] of changes) bytes[at] = value;
          expect(["more", "invalid", "whole"]).toContain(parseClientHello(bytes.subarray(0, length)).state);
        },
      ),
      { seed: SEED, numRuns: 5_000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (tail) => {
        const bytes = Buffer.concat([Buffer.from([22, 3, 1, 0, 100, 1, 0, 0, 96]), tail]);
        expect(["more", "invalid", "whole"]).toContain(parseClientHello(bytes).state);
      }),
      { seed: SEED, numRuns: 2_000 },
    );
  });
});
