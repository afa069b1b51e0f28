import { describe, expect, it, vi } from "vitest";
import {
  asked,
  chunkedPost,
  eventually,
  get,
  post,
  type Seen,
  settled,
  stopClock,
} from "./test-support/http1.ts";

const MIB = 1024 * 1024;
const reading = { onRequest: ({ incoming }: Seen) => incoming.read() };

describe("a request's body", () => {
  it("is not read before it is wanted: the client is stopped", async () => {
    const { incoming, seen, sockets, send } = await asked(post(`Content-Length: ${20 * MIB}`));
    send("x".repeat(20 * MIB));
    expect(await settled(() => sockets[0]?.bytesRead ?? 0)).toBeLessThan(250_000);
    expect(seen.body).toBe("");
    incoming.read();
    await eventually(() => seen.told.includes("end"), "the end of the body");
    expect(seen.body).toHaveLength(20 * MIB);
  });

  it("stops coming while reading is paused, and goes on", async () => {
    const { incoming, seen, send } = await asked(post(`Content-Length: ${20 * MIB}`));
    let chunks = 0;
    seen.onData = () => {
      chunks += 1;
      incoming.pauseReading();
    };
    incoming.read();
    send("x".repeat(20 * MIB));
    expect(await settled(() => chunks)).toBe(1);
    const timer = setInterval(() => incoming.read(), 1);
    await eventually(() => seen.told.includes("end"), "the end of the body");
    clearInterval(timer);
    expect(seen.body).toHaveLength(20 * MIB);
  });

  it("in small chunks stops coming with the chunk in which reading was paused", async () => {
    const { incoming, seen } = await asked(`${chunkedPost}${"1\r\na\r\n".repeat(5)}0\r\n\r\n`);
    seen.onData = () => incoming.pauseReading();
    for (let count = 1; count <= 5; count += 1) {
      incoming.read();
      expect(seen.body).toHaveLength(count - 1); // nothing is told from within a call
      await eventually(() => seen.body.length === count, "one more chunk");
    }
  });

  it("by chunks comes with its trailers, and without a body only its end is told", async () => {
    const { seen } = await asked(`${chunkedPost}2\r\nab\r\n0\r\nA: 1\r\n\r\n`, reading);
    await eventually(() => seen.told.length > 0, "the end");
    expect([seen.body, seen.told, seen.trailers]).toEqual(["ab", ["end"], ["A", "a", "1"]]);
    const none = await asked(get(), reading);
    await eventually(() => none.seen.told.length > 0, "the end");
    expect([none.seen.body, none.seen.told, none.seen.trailers]).toEqual(["", ["end"], null]);
  });

  it("that cannot be understood is a fault, which may still be answered, and ends the connection", async () => {
    const { seen, received, closed } = await asked(`${chunkedPost}1\r\na\r\nnot a size\r\n${get()}`, reading);
    await eventually(() => seen.told.length > 0, "the fault");
    expect(seen.told).toEqual(["fault 400"]);
    seen.answer("why", 400);
    await eventually(closed, "the connection to close");
    expect(received()).toMatch(/^HTTP\/1\.1 400 .*connection: close\r\n\r\nwhy$/s);
  });

  it("that goes wrong after the answer does not mix into it", async () => {
    const { seen, received, closed, requests } = await asked(`${chunkedPost}1\r\na\r\nnonsense\r\n${get()}`);
    seen.answer("early");
    await eventually(closed, "the connection to close");
    expect(received()).toMatch(/early$/);
    expect(requests).toHaveLength(1);
  });

  describe("announced with Expect: 100-continue", () => {
    const expecting = post("Content-Length: 2", "Expect: 100-continue");
    it("is asked for with the first read, and only then", async () => {
      const { incoming, received, send, seen } = await asked(expecting);
      await new Promise((resolve) => setImmediate(resolve));
      expect(received()).toBe("");
      incoming.read();
      await eventually(() => received() === "HTTP/1.1 100 Continue\r\n\r\n", "the invitation");
      send("ab");
      await eventually(() => seen.told.includes("end"), "the body");
      seen.answer("ok");
      await eventually(() => received().endsWith("ok"), "the answer");
      expect(received().split("100 Continue")).toHaveLength(2);
      expect(received()).not.toContain("connection: close");
    });

    it("is not asked for after an answer, which then ends the connection", async () => {
      const { seen, received, closed } = await asked(expecting);
      seen.answer("no", 413);
      await eventually(closed, "the connection to close");
      expect(received()).toMatch(/^HTTP\/1\.1 413 .*connection: close\r\n\r\nno$/s);
    });

    it("that comes all the same leaves the connection usable", async () => {
      const { seen, received, requests } = await asked(`${expecting}ab${get("/next")}`);
      seen.answer("no", 413);
      await eventually(() => requests.length === 2, "the next request");
      expect(received()).not.toContain("connection: close");
    });
  });

  describe("that was answered before its end", () => {
    it.each([100, 4_000])("is dropped, here %i KiB, and the connection goes on", async (kib) => {
      const text = `${post(`Content-Length: ${kib * 1024}`)}${"x".repeat(kib * 1024)}${get("/next")}`;
      const { seen, received, requests } = await asked(text);
      seen.answer("early");
      await eventually(() => requests.length === 2, "the next request");
      requests[1]?.answer("second");
      await eventually(() => received().endsWith("second"), "both answers");
      expect(received()).toMatch(/early.*second$/s);
    });

    it("and is too large to be dropped ends the connection, once the client could read the answer", async () => {
      const { seen, received, closed, reset, send } = await asked(post(`Content-Length: ${64 * MIB}`));
      seen.answer("early");
      await eventually(() => received().endsWith("early"), "the answer");
      send("x".repeat(MIB));
      await eventually(closed, "the connection to close");
      expect(received()).toContain("connection: close");
      expect(reset()).toBe(false);
    });

    it("and never comes ends the connection after a while", async () => {
      stopClock();
      const { seen, received, ended } = await asked(post("Content-Length: 2"));
      seen.answer("early");
      await eventually(() => received().endsWith("early"), "the answer");
      vi.advanceTimersByTime(4_000);
      expect(ended()).toBe(false);
      vi.advanceTimersByTime(2_000);
      await eventually(ended, "the end");
    });
  });
});
