import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { CLIENT_IDLE_MS, ClientWatch } from "./client-watch.ts";

function watchFake() {
  const timeouts: number[] = [];
  const watch = new ClientWatch({
    setTimeout(ms: number) {
      timeouts.push(ms);
      return this as Socket;
    },
  });
  return { watch, timeouts };
}

describe("the watch on a client", () => {
  it("runs while it is the client's turn to send or to read, and only then", () => {
    const { watch, timeouts } = watchFake();
    watch.mustSend(true);
    watch.mustRead(true);
    watch.mustSend(false);
    expect(timeouts).toEqual([CLIENT_IDLE_MS, CLIENT_IDLE_MS, CLIENT_IDLE_MS]);
    watch.mustRead(false);
    expect(timeouts.at(-1)).toBe(0);
  });

  it("does not touch the connection's timeout once the exchange is over", () => {
    const { watch, timeouts } = watchFake();
    watch.mustRead(true);
    watch.stop();
    expect(timeouts).toEqual([CLIENT_IDLE_MS, 0]);
    watch.mustRead(false);
    watch.mustSend(true);
    expect(timeouts).toHaveLength(2);
  });

  it("leaves alone a connection it never had to wait for", () => {
    const { watch, timeouts } = watchFake();
    watch.stop();
    expect(timeouts).toEqual([]);
  });
});
