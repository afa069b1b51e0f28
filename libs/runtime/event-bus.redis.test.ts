import { randomBytes } from "node:crypto";
import { Redis } from "ioredis";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { subscribeEvents } from "./event-bus.ts";
import { eventChannel } from "./keys.ts";
import { createLog } from "./log.ts";
import { openSubscriber } from "./redis.ts";

const log = createLog("silent", { role: "test", id: "test" });

describe("following events", () => {
  it("goes on after the connection was lost, or listening was forbidden for a while: a gap, no end", async () => {
    const redis = new Redis(inject("redisUrl"));
    const user = `listener-${randomBytes(4).toString("hex")}`;
    await redis.call("ACL", "SETUSER", user, "on", ">secret", "~*", "&*", "+@all");
    const url = new URL(inject("redisUrl"));
    url.username = user;
    url.password = "secret";
    const subscriber = openSubscriber({ url: url.href, name: user }, log);
    onTestFinished(async () => {
      subscriber.disconnect();
      await redis.call("ACL", "DELUSER", user);
      redis.disconnect();
    });
    let gaps = 0;
    const versions: number[] = [];
    subscribeEvents(subscriber, user, {
      onEvent: ({ version }) => versions.push(version),
      onGap: () => {
        gaps += 1;
      },
    });
    const heard = (version: number) =>
      expect
        .poll(
          async () => {
            await redis.publish(eventChannel(user), JSON.stringify({ type: "config", version }));
            return versions.includes(version);
          },
          { timeout: 10_000 },
        )
        .toBe(true);
    await heard(1);
    expect(gaps).toBe(1);

    await redis.call("CLIENT", "KILL", "USER", user);
    await heard(2);
    expect(gaps).toBe(2);

    await redis.call("ACL", "SETUSER", user, "-subscribe");
    await redis.call("CLIENT", "KILL", "USER", user);
    await expect.poll(() => subscriber.status, { timeout: 10_000 }).toBe("ready");
    await redis.publish(eventChannel(user), JSON.stringify({ type: "config", version: 3 }));
    await redis.call("ACL", "SETUSER", user, "+subscribe");
    await heard(4);
    expect(versions).not.toContain(3);
    expect(gaps).toBe(3);
  });
});
