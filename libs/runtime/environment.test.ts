import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { EnvironmentError, integer, readEnvironment, VARIABLES, type Variable } from "./environment.ts";

const messageOf = (env: NodeJS.ProcessEnv): string => {
  try {
    readEnvironment(env);
    return "";
  } catch (error) {
    return (error as Error).message;
  }
};

describe("the environment", () => {
  it("fills in defaults, also for what is set but empty", () => {
    const environment = readEnvironment({ EVENKEEL_PREFIX: "", EVENKEEL_NAME: "g1", HOME: "/root" });
    expect(environment.EVENKEEL_PREFIX).toBe("evenkeel");
    expect(environment.EVENKEEL_NAME).toBe("g1");
  });

  it("refuses a variable it does not know, by name", () => {
    expect(() => readEnvironment({ EVENKEEL_PREFX: "x" })).toThrow("EVENKEEL_PREFX");
  });

  it.each([
    ["EVENKEEL_ADMIN_PORT", "80x", 'must be a whole number from 0 to 65535, got "80x"'],
    ["EVENKEEL_PORT_OFFSET", "65536", 'must be a whole number from 0 to 65535, got "65536"'],
    ["EVENKEEL_DRAIN_DEADLINE_MS", "abc", 'must be a whole number from 0 to 3600000, got "abc"'],
    ["EVENKEEL_DRAIN_GRACE_MS", "1e3", 'must be a whole number from 0 to 3600000, got "1e3"'],
    ["EVENKEEL_LOG_LEVEL", "bogus", "must be one of trace, debug, info, warn, error, fatal, silent, got"],
    ["EVENKEEL_ACCESS_LOG", "yes", 'must be one of on, off, got "yes"'],
    ["EVENKEEL_NAME", "a b", 'may have letters, digits, ".", "_" and "-"'],
    ["EVENKEEL_ZONE", "eu west", 'may have letters, digits, ".", "_" and "-"'],
    ["EVENKEEL_SCHEDULERS", "http://a:1, b:2", "must be http:// URLs separated by commas"],
  ])("refuses %s=%s, saying what it must be", (name, value, fault) => {
    expect(() => readEnvironment({ [name]: value })).toThrow(EnvironmentError);
    expect(() => readEnvironment({ [name]: value })).toThrow(`${name} ${fault}`);
  });

  it("names every fault at once, each on a line of its own", () => {
    const env = { EVENKEEL_LOG_LEVEL: "x", EVENKEEL_ACCESS_LOG: "y", EVENKEEL_PREFX: "z" };
    expect(messageOf(env).split("\n")).toEqual([
      expect.stringContaining("unknown variable EVENKEEL_PREFX"),
      expect.stringContaining("EVENKEEL_LOG_LEVEL"),
      expect.stringContaining("EVENKEEL_ACCESS_LOG"),
    ]);
  });

  it("refuses a secret that is too short, without repeating it", () => {
    const said = messageOf({ EVENKEEL_COOKIE_SECRET: "hunter2" });
    expect(said).toBe("EVENKEEL_COOKIE_SECRET must have at least 16 characters");
  });

  it("refuses a token that no header can carry, without repeating it", () => {
    for (const token of ["hunter2\n", "hunter 2", "hünter2"]) {
      const said = messageOf({ EVENKEEL_TOKEN: token });
      expect(said).toMatch(/^EVENKEEL_TOKEN may have only visible ASCII/);
      expect(said).not.toContain("nter");
    }
  });

  it("never repeats a URL that may hold a password", () => {
    const said = messageOf({ EVENKEEL_REDIS_URL: "http://:hunter2@redis:6379" });
    expect(said).toMatch(/^EVENKEEL_REDIS_URL must begin with redis:\/\/, .*/);
    expect(said).not.toContain("hunter2");
  });

  it("accepts every default", () => {
    const defaults = Object.entries<Variable>(VARIABLES).map(([name, variable]) => [name, variable.default]);
    expect(readEnvironment(Object.fromEntries(defaults))).toEqual(Object.fromEntries(defaults));
  });

  it("gives whole numbers, within narrower bounds too", () => {
    const environment = readEnvironment({ EVENKEEL_ADMIN_PORT: "7700" });
    expect(integer(environment, "EVENKEEL_ADMIN_PORT", 0, 65_535)).toBe(7_700);
    expect(() => integer(environment, "EVENKEEL_ADMIN_PORT", 0, 1_023)).toThrow(
      'EVENKEEL_ADMIN_PORT must be a whole number from 0 to 1023, got "7700"',
    );
  });

  it("is documented, every variable with its default", () => {
    const page = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8");
    for (const [name, variable] of Object.entries(VARIABLES)) {
      const row = page.split("\n").find((line) => line.startsWith(`| \`${name}\` |`));
      expect(row, name).toBeDefined();
      if (variable.default !== "") expect(row).toContain(`\`${variable.default}\``);
    }
  });
});
