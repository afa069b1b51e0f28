import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createFrameReader, encodeFrame, type Frame, ID_MAX, KIND, type Kind } from "./frames.ts";

const TEXT_MAX = 4_096;

const anyFrame = fc.record({
  kind: fc.constantFrom(...(Object.values(KIND) as Kind[])),
  id: fc.integer({ min: 0, max: ID_MAX }),
  text: fc.string({ unit: "binary", maxLength: 200 }),
});

function readerOf(textMax = TEXT_MAX) {
  const frames: Frame[] = [];
  return { frames, reader: createFrameReader(textMax, (frame) => frames.push(frame)) };
}

/** Cuts at the given places, taken modulo the length; empty pieces included. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b);
  return [0, ...at].map((start, i) => bytes.subarray(start, at[i] ?? bytes.length));
}

const encodeAll = (frames: readonly Frame[]) =>
  Buffer.concat(frames.map(({ kind, id, text }) => encodeFrame(kind, id, text)));

describe("frames", () => {
  it("come out as they went in, however the stream is cut", () => {
    fc.assert(
      fc.property(
        fc.array(anyFrame, { maxLength: 8 }),
        fc.array(fc.nat(10_000), { maxLength: 20 }),
        (sent, places) => {
          const { frames, reader } = readerOf();
          for (const chunk of cut(encodeAll(sent), places)) expect(reader.push(chunk)).toBeNull();
          expect(frames).toEqual(sent);
        },
      ),
    );
  });

  it("come out whole when they arrive byte by byte, also when they are long", () => {
    const sent: Frame[] = [
      { kind: KIND.settle, id: 7, text: "ä".repeat(2_000) },
      { kind: KIND.pong, id: 8, text: "" },
    ];
    const { frames, reader } = readerOf();
    for (const byte of encodeAll(sent)) reader.push(Buffer.of(byte));
    expect(frames).toEqual(sent);
  });

  it("never makes the reader throw or hand over a frame beyond its bound, whatever bytes come", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 20 }), (chunks) => {
        const { frames, reader } = readerOf(16);
        for (const chunk of chunks) reader.push(Buffer.from(chunk));
        for (const { text } of frames) expect(text.length).toBeLessThanOrEqual(16);
      }),
    );
  });

  it("come out as far as the stream was sound, and nothing after a fault", () => {
    fc.assert(
      fc.property(
        fc.array(anyFrame, { maxLength: 4 }),
        fc.constantFrom("0000000500", "0000000401", "ffffffff01", "000010060100000000"),
        fc.array(fc.nat(10_000), { maxLength: 8 }),
        (sent, garbage, places) => {
          const { frames, reader } = readerOf();
          const bytes = Buffer.concat([encodeAll(sent), Buffer.from(garbage.padEnd(18, "0"), "hex")]);
          const faults = cut(bytes, places).map((chunk) => reader.push(chunk));
          expect(faults.at(-1)).toMatch(/frame/);
          expect(reader.push(encodeFrame(KIND.ping, 1, ""))).toBe(faults.at(-1));
          expect(frames).toEqual(sent);
        },
      ),
    );
  });

  it("may be as long as the bound and no longer", () => {
    const { frames, reader } = readerOf(10);
    expect(reader.push(encodeFrame(KIND.answer, 1, "x".repeat(10)))).toBeNull();
    expect(reader.push(encodeFrame(KIND.answer, 2, "x".repeat(11)).subarray(0, 9))).toMatch(/too long/);
    expect(frames.map(({ id }) => id)).toEqual([1]);
  });
});
