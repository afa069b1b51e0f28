import { describe, expect, it } from "vitest";
import { withoutCredentials } from "./log.ts";
import { parseRedisAddress, redisAddressFault } from "./redis-address.ts";

const anonymous = { username: null, password: null };

describe("an address of Redis", () => {
  it.each([
    ["redis://redis", [{ host: "redis", port: 6_379 }], 0],
    ["redis://127.0.0.1:7000/", [{ host: "127.0.0.1", port: 7_000 }], 0],
    ["redis://[::1]:7000/3", [{ host: "::1", port: 7_000 }], 3],
  ])("may be one server: %s", (url, endpoints, db) => {
    expect(parseRedisAddress(url)).toEqual({ kind: "server", endpoints, tls: false, ...anonymous, db });
  });

  it("may be a master that sentinels watch", () => {
    expect(parseRedisAddress("redis+sentinel://s1,s2:26380/main/2")).toEqual({
      kind: "sentinel",
      endpoints: [
        { host: "s1", port: 26_379 },
        { host: "s2", port: 26_380 },
      ],
      tls: false,
      ...anonymous,
      master: "main",
      db: 2,
      sentinelUsername: null,
      sentinelPassword: null,
    });
  });

  it("may be a Redis Cluster", () => {
    expect(parseRedisAddress("redis+cluster://n1:7000,[fd00::2]:7001")).toEqual({
      kind: "cluster",
      endpoints: [
        { host: "n1", port: 7_000 },
        { host: "fd00::2", port: 7_001 },
      ],
      tls: false,
      ...anonymous,
    });
  });

  it.each(["rediss://h", "rediss+sentinel://h/main", "rediss+cluster://h"])("asks for TLS: %s", (url) => {
    expect(parseRedisAddress(url).tls).toBe(true);
  });

  it.each([
    ["redis://:secret@h", null, "secret"],
    ["redis+cluster://user:p%40%2F%3Ass:w+d@h", "user", "p@/:ss:w+d"],
    ["redis://user:un@coded@h", "user", "un@coded"],
  ])("may have a user and a password: %s", (url, username, password) => {
    expect(parseRedisAddress(url)).toMatchObject({ username, password, endpoints: [{ host: "h" }] });
  });

  it("has the sentinels' own user and password apart from the master's", () => {
    const url = "redis+sentinel://u:p@h/main?sentinelUsername=watch&sentinelPassword=a+b%26c";
    expect(parseRedisAddress(url)).toMatchObject({
      username: "u",
      password: "p",
      sentinelUsername: "watch",
      sentinelPassword: "a+b&c",
    });
  });

  it.each([
    ["http://:hunter2@h", "must begin with redis://"],
    ["hunter2", "must begin with redis://"],
    ["redis+sentinels://h/main", "must begin with redis://"],
    ["redis://hunter2@h", "must have user and password as user:password@"],
    ["redis://:hunter2%zz@h", "percent-encoded"],
    ["redis://:hunter2#x@h", "percent-encoded"],
    ["redis://:hunter2/x@h", "must have host or host:port"],
    ["redis://", "must have host or host:port"],
    ["redis://hunter2 h", "must have host or host:port"],
    ["redis://[hunter2]:1", "must have host or host:port"],
    ["redis+cluster://h1,,h2", "must have host or host:port"],
    ["redis://h:0", "must have ports from 1 to 65535"],
    ["redis+cluster://h:7000,h:65536", "must have ports from 1 to 65535"],
    ["redis://h1,h2", "names several servers"],
    ["redis://h/hunter2", "must have a whole number as database"],
    ["redis://h?password=hunter2", "may have nothing behind a question mark"],
    ["redis+cluster://h/1", "may name no database"],
    ["redis+sentinel://h", "must name the master"],
    ["redis+sentinel://h/hunter2!", "must name the master"],
    ["redis+sentinel://h/main/x", "must have a whole number as database"],
    ["redis+sentinel://h/main?password=hunter2", "may have only sentinelUsername and sentinelPassword"],
  ])("is refused without being repeated: %s", (url, fault) => {
    expect(redisAddressFault(url)).toContain(fault);
    expect(redisAddressFault(url)).not.toContain("hunter2");
  });

  it.each([
    ["redis://u:hunter2@h:1/0", "redis://***@h:1/0"],
    ["redis://u:hun@ter2@h", "redis://***@h"],
    ["redis+sentinel://h1,h2/main?sentinelPassword=hunter2", "redis+sentinel://h1,h2/main?***"],
    ["redis+cluster://h1:7000,h2:7001", "redis+cluster://h1:7000,h2:7001"],
  ])("is shown without what is secret: %s", (url, shown) => {
    expect(withoutCredentials(url)).toBe(shown);
  });
});
