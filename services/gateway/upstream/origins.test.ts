import type { Pool } from "@evenkeel/core/config/resolve.ts";
import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import { describe, expect, it } from "vitest";
import { eventually, startRawBackend } from "../test-support/data-path.ts";
import { createOrigins, MAX_CONNECTIONS_PER_ORIGIN, type Origin } from "./origins.ts";

const pool = (url: string, connectTimeoutMs = 2_000, name = "p"): Pool =>
  resolvePool({ name, connectTimeoutMs, backends: [{ id: "b1", url }] });

/** Answers the text, or the error's code. */
function get(origin: Origin): Promise<string> {
  let text = "";
  return new Promise((resolve) =>
    origin.dispatch(
      { method: "GET", path: "/" },
      {
        onRequestStart: () => {},
        onResponseStart: () => {},
        onResponseData: (_, chunk) => {
          text += chunk.toString();
        },
        // The connection is free one turn later.
        onResponseEnd: () => setImmediate(setImmediate, resolve, text),
        onResponseError: (_, error) => resolve((error as NodeJS.ErrnoException).code ?? error.message),
      },
    ),
  );
}

/** A keep-alive backend that answers "ok" and counts its connections. */
async function counting(before: Promise<unknown> = Promise.resolve()) {
  const counts = { opened: 0, open: 0 };
  const origin = await startRawBackend((socket) => {
    counts.opened += 1;
    counts.open += 1;
    socket.on("close", () => {
      counts.open -= 1;
    });
    socket.on(
      "data",
      () => void before.then(() => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
    );
  });
  return { origin, counts };
}

describe("origins", () => {
  it("connect when the first request comes and keep the connection for the next", async () => {
    const { origin, counts } = await counting();
    const origins = createOrigins();
    origins.configure([pool(origin)]);
    expect(counts.opened).toBe(0);
    expect(await get(origins.get(origin))).toBe("ok");
    expect(await get(origins.get(origin))).toBe("ok");
    expect(counts.opened).toBe(1);
    origins.close();
    await eventually(() => counts.open === 0, "the connection to close");
  });

  it("that a configuration drops close once their requests have ended", async () => {
    const answered = Promise.withResolvers<void>();
    const { origin, counts } = await counting(answered.promise);
    const origins = createOrigins();
    origins.configure([pool(origin)]);
    const running = get(origins.get(origin));
    await eventually(() => counts.open === 1, "the connection");
    origins.configure([]);
    answered.resolve();
    expect(await running).toBe("ok");
    await eventually(() => counts.open === 0, "the connection to close");
  });

  it("that stay keep their connections; a new connect timeout makes new ones", async () => {
    const { origin, counts } = await counting();
    const origins = createOrigins();
    origins.configure([pool(origin)]);
    await get(origins.get(origin));
    origins.configure([pool(origin), pool("http://127.0.0.1:1", 9_000, "q")]);
    await get(origins.get(origin));
    expect(counts.opened).toBe(1);
    origins.configure([pool(origin), pool(origin, 1_000, "q")]);
    await get(origins.get(origin));
    expect(counts.opened).toBe(2);
    origins.close();
  });

  it("can be dispatched to right after a configuration dropped them", async () => {
    const { origin } = await counting();
    const origins = createOrigins();
    origins.configure([pool(origin)]);
    await get(origins.get(origin));
    origins.configure([]);
    expect(await get(origins.get(origin))).toBe("ok");
    origins.close();
  });

  it("have a bounded number of places", () => {
    const origins = createOrigins();
    const origin = origins.get("http://127.0.0.1:1");
    for (let i = 0; i < MAX_CONNECTIONS_PER_ORIGIN; i += 1) expect(origin.enter()).toBe(true);
    expect(origin.enter()).toBe(false);
    origin.leave();
    expect(origin.enter()).toBe(true);
    origins.close();
  });
});
