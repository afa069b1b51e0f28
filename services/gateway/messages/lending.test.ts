import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { releaseSent } from "./lending.ts";

const KIB = 1024;
const to = (writableLength: number) => ({ writableLength }) as Socket;

describe("releaseSent", () => {
  it("gives back the memory of a large chunk that the system has taken", () => {
    const chunk = Buffer.alloc(64 * KIB);
    releaseSent(chunk, to(0));
    expect(chunk.length).toBe(0);
    expect((chunk.buffer as ArrayBuffer).detached).toBe(true);
  });

  it.each([
    ["waits to be sent", Buffer.alloc(64 * KIB), 1],
    ["is small", Buffer.alloc(8 * KIB), 0],
    ["is a part of other memory", Buffer.alloc(64 * KIB).subarray(1), 0],
    ["is shared with other threads", Buffer.from(new SharedArrayBuffer(64 * KIB)), 0],
  ])("leaves a chunk alone that %s", (_, chunk, waiting) => {
    const { length } = chunk;
    releaseSent(chunk, to(waiting));
    expect(chunk.length).toBe(length);
  });
});
