import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { handOn, lend, releaseSent, settle, settleSent, takeBack } from "./lending.ts";

const KIB = 1024;
const to = (writableLength: number) => ({ writableLength }) as Socket;
const detached = ({ buffer }: Buffer) => (buffer as ArrayBuffer).detached;

/** What is left alone whatever happens to it. */
const UNFIT: [string, Buffer][] = [
  ["is small", Buffer.alloc(8 * KIB)],
  ["is a part of other memory", Buffer.alloc(64 * KIB).subarray(1)],
  ["is shared with other threads", Buffer.from(new SharedArrayBuffer(64 * KIB))],
];

describe("a chunk that is passed on as it was read", () => {
  it("is given back once the system has taken it", () => {
    const chunk = Buffer.alloc(64 * KIB);
    releaseSent(chunk, to(0));
    expect([chunk.length, detached(chunk)]).toEqual([0, true]);
  });

  it("stays while any of it waits to be sent", () => {
    const chunk = Buffer.alloc(64 * KIB);
    releaseSent(chunk, to(1));
    expect(chunk.length).toBe(64 * KIB);
  });

  it.each(UNFIT)("stays where it %s", (_, chunk) => {
    const { length } = chunk;
    releaseSent(chunk, to(0));
    expect(chunk.length).toBe(length);
  });
});

describe("a chunk that is lent", () => {
  const lentParts = (chunk = Buffer.alloc(64 * KIB)) => {
    lend(chunk);
    const parts = [chunk.subarray(0, 40 * KIB), chunk.subarray(50 * KIB)] as const;
    for (const part of parts) handOn(part);
    return { chunk, parts };
  };

  it("is given back when all that was handed on is settled, sent or copied", () => {
    const { chunk, parts } = lentParts();
    settleSent(parts[0], to(0));
    settle(parts[1]);
    expect(chunk.length).toBe(64 * KIB);
    takeBack(chunk);
    expect([chunk.length, detached(chunk)]).toEqual([0, true]);
  });

  it("is given back when nobody wanted any of it", () => {
    const chunk = Buffer.alloc(64 * KIB);
    lend(chunk);
    takeBack(chunk);
    expect(detached(chunk)).toBe(true);
  });

  it.each<[string, (parts: readonly [Buffer, Buffer]) => void]>([
    ["nobody tells of", () => {}],
    ["only one part is settled of", ([first]) => settle(first)],
    [
      "one part of waits to be sent",
      ([first, second]) => {
        settleSent(first, to(0));
        settleSent(second, to(1));
      },
    ],
    [
      "other memory is settled in place of",
      ([first, second]) => {
        settle(first);
        settle(Buffer.alloc(second.length));
      },
    ],
  ])("stays where it is kept: %s", (_, meanwhile) => {
    const { chunk, parts } = lentParts();
    meanwhile(parts);
    takeBack(chunk);
    expect(chunk.length).toBe(64 * KIB);
  });

  it.each(UNFIT)("stays where it %s", (_, chunk) => {
    const { length } = chunk;
    lend(chunk);
    handOn(chunk);
    settle(chunk);
    takeBack(chunk);
    expect(chunk.length).toBe(length);
  });

  it("stays where it is settled only after it was taken back, or while another one is lent", () => {
    const { chunk, parts } = lentParts();
    takeBack(chunk);
    for (const part of parts) settle(part);
    takeBack(chunk);
    const other = lentParts();
    for (const part of parts) settle(part);
    takeBack(other.chunk);
    expect([chunk.length, other.chunk.length]).toEqual([64 * KIB, 64 * KIB]);
  });

  it("stays where another loan began before it was taken back", () => {
    const { chunk, parts } = lentParts();
    lend(Buffer.alloc(64 * KIB));
    for (const part of parts) settle(part);
    takeBack(chunk);
    expect(chunk.length).toBe(64 * KIB);
  });
});
