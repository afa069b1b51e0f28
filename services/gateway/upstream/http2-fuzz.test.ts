// Whatever frames a backend sends: nothing is thrown, every request ends once, and none is told to be whole that is not.
import type { Socket } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { over2 } from "./test-support/http2-backend.ts";
import {
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  GOAWAY,
  HEADERS,
  RST_STREAM,
  startFrames,
} from "./test-support/http2-frames.ts";
import { ask, eventually, type Receiver, start } from "./test-support/world.ts";

const RUNS = 250;
/** Patience with one request, in ms; then the clock is moved on, so that the bounds of waits end it. */
const SOON_MS = 50;
const PING_MS = 15_100;
const SEED = 20_260_101;
const STREAM = 1;
const STREAMED = { method: "POST", bodyLength: Number.POSITIVE_INFINITY };

interface Step {
  type: number;
  flags: number;
  stream: number;
  payload: Buffer;
}

const step = (type: number, flags: number, stream: number, payload: Buffer): Step => ({
  ...{ type, flags, stream, payload },
});
const u32 = (...values: number[]) => {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, 4 * i);
  return bytes;
};

const STATUS_200 = Buffer.from([0x88]);
const LENGTH_3 = Buffer.from([0x88, 0x0f, 0x0d, 1, 0x33]);
/** `:status: 103`, and `x: 1` without one. */
const INTERIM = Buffer.from([0x08, 3, 0x31, 0x30, 0x33]);
const TRAILERS = Buffer.from([0x00, 1, 0x78, 1, 0x31]);

const end = fc.boolean().map((ends) => (ends ? END_STREAM : 0));
const section = (block: Buffer) => end.map((flag) => step(HEADERS, END_HEADERS | flag, STREAM, block));
const body = fc
  .tuple(fc.string({ maxLength: 4 }), end)
  .map(([text, flag]) => step(DATA, flag, STREAM, Buffer.from(text)));
const code = fc.constantFrom(0, 2, 7, 8, 11);
const any = fc
  .tuple(
    fc.nat(12),
    fc.nat(255),
    fc.constantFrom(0, 1, 2, 3, 5, 2 ** 31 - 1),
    fc.uint8Array({ maxLength: 20 }),
  )
  .map(([type, flags, stream, payload]) => step(type, flags, stream, Buffer.from(payload)));

const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.oneof(section(STATUS_200), section(LENGTH_3)) },
    { weight: 1, arbitrary: fc.oneof(section(INTERIM), section(TRAILERS)) },
    { weight: 4, arbitrary: body },
    { weight: 1, arbitrary: code.map((of) => step(RST_STREAM, 0, STREAM, u32(of))) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.constantFrom(0, 1, 2 ** 31 - 1), code)
        .map(([last, of]) => step(GOAWAY, 0, 0, u32(last, of))),
    },
    { weight: 1, arbitrary: any },
  ),
  { maxLength: 8 },
);

/** The body of the answer if these frames can be a whole one; null: whatever comes of them, it is none. */
function wholeOf(all: readonly Step[]): string | null {
  let text = "";
  let declared = Number.NaN;
  for (const { type, flags, stream, payload } of all) {
    if (stream !== STREAM) continue;
    if (type === HEADERS && payload.equals(LENGTH_3)) declared = 3;
    // Padding and priority are for the other frames: no text is expected of them.
    if (type === DATA && (flags & 8) === 0) text += payload.toString("latin1");
    const ends = (type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0;
    if (type === RST_STREAM) return text.length === declared ? text : null;
    if (ends) return Number.isNaN(declared) || text.length === declared ? text : null;
  }
  return null;
}

async function backendOf() {
  let next: { bytes: Buffer[] } = { bytes: [] };
  const backend = await startFrames((socket: Socket) => {
    for (const bytes of next.bytes) socket.write(bytes);
    socket.end();
  });
  const { origin, pass } = over2(backend.url);
  return {
    origin,
    /** Some frames make Node fall silent; a ping finds it out. */
    async over(receiver: Receiver) {
      const soon = Date.now() + SOON_MS;
      await eventually(() => receiver.over || Date.now() > soon, "a while");
      for (let i = 0; i < 3 && !receiver.over; i += 1) {
        pass(PING_MS);
        await eventually(() => receiver.over || Date.now() > soon + 4 * i * SOON_MS, "a while");
      }
      await eventually(() => receiver.over, "the end of the request");
    },
    answer(all: readonly Step[], inOne: boolean) {
      const frames = all.map(({ type, flags, stream, payload }) => frame(type, flags, stream, payload));
      next = { bytes: inOne ? [Buffer.concat(frames)] : frames };
    },
  };
}

const endings = ({ told }: Receiver) => told.filter((what) => what === "end" || what.startsWith("error"));

describe("frames of any kind, in any order", () => {
  it("never make an answer whole that is not, and end the request once", async () => {
    const { origin, answer, over } = await backendOf();
    const receivers: Receiver[] = [];
    let wholes = 0;
    await fc.assert(
      fc.asyncProperty(steps, fc.boolean(), fc.boolean(), async (all, inOne, uploading) => {
        answer(all, inOne);
        const receiver = start(origin, { fresh: true, ...(uploading && STREAMED) });
        receivers.push(receiver);
        await over(receiver);
        if (!receiver.ended) return;
        wholes += 1;
        expect(receiver.head?.status).toBe(200);
        expect(receiver.text).toBe(wholeOf(all));
      }),
      { numRuns: RUNS, seed: SEED, endOnFailure: true },
    );
    expect(wholes).toBeGreaterThan(RUNS / 20);
    for (const receiver of receivers) {
      expect(endings(receiver)).toHaveLength(1);
      expect(endings(receiver)).toEqual(receiver.told.slice(-1));
    }
  });

  it("as they should be make it whole, however they are cut", async () => {
    const { origin, answer } = await backendOf();
    const texts = fc.array(fc.string({ maxLength: 4 }), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(texts, fc.boolean(), fc.boolean(), async (chunks, inOne, trailing) => {
        const bodies = chunks.map((text) => step(DATA, 0, STREAM, Buffer.from(text)));
        const last = trailing
          ? step(HEADERS, END_HEADERS | END_STREAM, STREAM, TRAILERS)
          : step(DATA, END_STREAM, STREAM, Buffer.alloc(0));
        answer([step(HEADERS, END_HEADERS, STREAM, STATUS_200), ...bodies, last], inOne);
        const receiver = await ask(origin, { fresh: true });
        expect([receiver.fault, receiver.text]).toEqual([
          null,
          Buffer.from(chunks.join("")).toString("latin1"),
        ]);
        expect(receiver.trailers).toEqual(trailing ? ["x", "x", "1"] : null);
      }),
      { numRuns: 50, seed: SEED },
    );
  });
});
