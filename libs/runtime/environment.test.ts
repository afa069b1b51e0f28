import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { integer, readEnvironment, VARIABLES } from "./environment.ts";

describe("the environment", () => {
  it("fills in defaults, also for what is set but empty", () => {
    const environment = readEnvironment({ EVENKEEL_PREFIX: "", EVENKEEL_NAME: "g1", HOME: "/root" });
    expect(environment.EVENKEEL_PREFIX).toBe("evenkeel");
    expect(environment.EVENKEEL_NAME).toBe("g1");
  });

  it("refuses a variable it does not know, by name", () => {
    expect(() => readEnvironment({ EVENKEEL_PREFX: "x" })).toThrow("EVENKEEL_PREFX");
  });

  it("refuses what is no whole number in range, naming variable, range and value", () => {
    const environment = readEnvironment({ EVENKEEL_ADMIN_PORT: "80x" });
    expect(() => integer(environment, "EVENKEEL_ADMIN_PORT", 0, 65_535)).toThrow(
      'EVENKEEL_ADMIN_PORT must be a whole number from 0 to 65535, got "80x"',
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
