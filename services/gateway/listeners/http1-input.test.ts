import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { BodyReader } from "../http1/body.ts";
import { handOn, settle } from "../messages/lending.ts";
import { Input } from "./http1-input.ts";

const KIB = 1024;
const socket = { pause() {}, resume() {} } as Socket;

/** Input that has read one chunk, and a way to read bodies of a length from it. */
function open(chunk: Buffer) {
  const input = new Input(socket);
  input.add(chunk);
  const read = (length: number, onBody: (part: Buffer) => boolean) => {
    const reader = new BodyReader();
    reader.begin(length, false);
    input.readBody(reader, {
      onBody: (part) => {
        handOn(part);
        return onBody(part);
      },
    });
  };
  return { input, read };
}

const passOn = (part: Buffer) => {
  settle(part);
  return true;
};

describe("a chunk of a connection", () => {
  it("gives its memory back once all of it was passed on", () => {
    const chunk = Buffer.alloc(64 * KIB);
    const { input, read } = open(chunk);
    read(64 * KIB, passOn);
    expect([input.empty, chunk.length]).toEqual([true, 0]);
  });

  it("keeps it where a body was kept of which the next one stands in the same chunk", () => {
    const chunk = Buffer.alloc(64 * KIB, "k");
    const { input, read } = open(chunk);
    let kept: Buffer = Buffer.alloc(0);
    read(30 * KIB, (part) => {
      kept = part;
      return true;
    });
    read(34 * KIB, passOn);
    expect(input.empty).toBe(true);
    expect(kept.equals(Buffer.alloc(30 * KIB, "k"))).toBe(true);
  });

  it("keeps it while a part waits behind which reading has stopped", () => {
    const chunk = Buffer.alloc(64 * KIB);
    const { input, read } = open(chunk);
    read(10 * KIB, () => false);
    expect([input.length, chunk.length]).toEqual([54 * KIB, 64 * KIB]);
  });

  it("may end its connection while it is read", () => {
    const chunk = Buffer.alloc(64 * KIB);
    const { input, read } = open(chunk);
    read(64 * KIB, () => {
      input.clear();
      return false;
    });
    expect([input.empty, chunk.length]).toEqual([true, 64 * KIB]);
  });
});
