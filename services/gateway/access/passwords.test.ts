import type { scrypt } from "node:crypto";
import { describe, expect, it } from "vitest";
import {
  createPasswords,
  LOGINS_WAITING_MAX,
  type PasswordVerdict,
  REQUESTS_PER_LOGIN_MAX,
  SCRYPT_AT_ONCE,
} from "./passwords.ts";

const HASH = {
  kind: "scrypt",
  ln: 15,
  r: 8,
  p: 1,
  salt: "c2FsdHNhbHQ",
  hash: Buffer.alloc(32, 1).toString("base64"),
} as const;

/** Scrypt that ends when it is told to. */
function setUp() {
  const running: ((right: boolean) => void)[] = [];
  let most = 0;
  const derive = (...args: unknown[]) => {
    const done = args.at(-1) as (error: Error | null, derived: Buffer) => void;
    running.push((right) => done(null, Buffer.alloc(32, right ? 1 : 2)));
    most = Math.max(most, running.length);
  };
  const passwords = createPasswords({ clock: () => 0, derive: derive as typeof scrypt });
  const told: PasswordVerdict[] = [];
  const verify = (password: string) => {
    const verdict = passwords.verify("alice", password, HASH, (fits) => told.push(fits));
    if (verdict !== undefined) told.push(verdict);
  };
  return { running, told, verify, most: () => most };
}

describe("passwords that are dear to check", () => {
  it("are checked a few at once, the others in turn", () => {
    const { running, told, verify, most } = setUp();
    for (let i = 0; i < 10; i += 1) verify(`p${i}`);
    expect(running).toHaveLength(SCRYPT_AT_ONCE);
    while (running.length > 0) running.shift()?.(true);
    expect(told).toEqual(new Array(10).fill(true));
    expect(most()).toBe(SCRYPT_AT_ONCE);
  });

  it("are refused when too many wait, and taken again when they do not", () => {
    const { running, told, verify } = setUp();
    for (let i = 0; i < SCRYPT_AT_ONCE + LOGINS_WAITING_MAX; i += 1) verify(`p${i}`);
    expect(told).toEqual([]);
    verify("one too many");
    expect(told).toEqual(["busy"]);
    running.shift()?.(false);
    verify("welcome again");
    expect(told).toEqual(["busy", false]);
  });

  it("are checked once for requests that come together", () => {
    const { running, told, verify } = setUp();
    for (let i = 0; i < REQUESTS_PER_LOGIN_MAX; i += 1) verify("same");
    verify("same");
    expect(told).toEqual(["busy"]);
    expect(running).toHaveLength(1);
    running.shift()?.(true);
    expect(told.filter((fits) => fits === true)).toHaveLength(REQUESTS_PER_LOGIN_MAX);
    verify("same");
    expect(running).toHaveLength(0);
    expect(told.at(-1)).toBe(true);
  });
});
