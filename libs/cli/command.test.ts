import { describe, expect, test } from "vitest";
import { type Command, helpOf, readArguments, UsageError, wholeNumber } from "./command.ts";

const command: Command = {
  name: "try",
  summary: "tries",
  positionals: ["FILE"],
  flags: {
    gateways: { type: "string", value: "N", help: "how many" },
    json: { type: "boolean", help: "for programs" },
    wait: { type: "string", value: "SECONDS", usual: 60, help: "until it is done" },
  },
  run: async () => 0,
};

const read = (...argv: string[]) => readArguments(command, argv);

describe("readArguments", () => {
  test("reads flags before and after what they stand with", () => {
    for (const argv of [
      ["--gateways", "3", "--json", "a.yaml"],
      ["a.yaml", "--json", "--gateways=3"],
    ]) {
      const args = read(...argv);
      expect(args?.positionals).toEqual(["a.yaml"]);
      expect(args?.text("gateways")).toBe("3");
      expect(args?.given("json")).toBe(true);
    }
  });

  test.each([
    [["--wait", "a.yaml"], "60"],
    [["a.yaml", "--wait"], "60"],
    [["--wait", "--json", "a.yaml"], "60"],
    [["--wait", "5", "a.yaml"], "5"],
    [["a.yaml", "--wait=7"], "7"],
    [["a.yaml"], null],
  ])("a flag with a usual value takes none that is not its own: %j", (argv, value) => {
    const args = read(...argv);
    expect(args?.positionals).toEqual(["a.yaml"]);
    expect(args?.text("wait")).toBe(value);
  });

  test("takes what follows -- as it is", () => {
    expect(read("--", "--json")?.positionals).toEqual(["--json"]);
  });

  test("answers null when help is wanted, whatever else is missing", () => {
    expect(read("--help")).toBeNull();
    expect(read("-h")).toBeNull();
  });

  test.each([
    [["a", "--gatewys", "3"], 'unknown flag --gatewys; did you mean "--gateways"?'],
    [["a", "-x"], "unknown flag -x"],
    [["a", "--gateways"], "--gateways needs a value: --gateways N"],
    [["a", "--gateways="], "--gateways needs a value"],
    [["a", "--gateways", "--json"], "--gateways needs a value"],
    [["a", "--json=yes"], "--json takes no value"],
    [[], "try needs FILE"],
    [["a", "b"], 'try does not know what to do with "b"'],
  ])("refuses %j", (argv, message) => {
    expect(() => read(...argv)).toThrow(UsageError);
    expect(() => read(...argv)).toThrow(message);
  });
});

test.each(["0", "65", "x", "1.5", "-1", "1e1", " 3"])("a whole number from 1 to 64 is not %j", (text) => {
  const args = readArguments(command, ["a", `--gateways=${text}`]);
  expect(() => args && wholeNumber(args, "gateways", 1, [1, 64])).toThrow(
    `--gateways must be a whole number from 1 to 64, got "${text}"`,
  );
});

test("a whole number that is not given has its default", () => {
  const args = readArguments(command, ["a"]);
  expect(args && wholeNumber(args, "gateways", 7, [1, 64])).toBe(7);
});

test("help names every flag with its meaning", () => {
  expect(helpOf(command)).toContain("Usage: evenkeel try FILE [flags]");
  expect(helpOf(command)).toMatch(/--gateways N {6}how many/);
  expect(helpOf(command)).toMatch(/--wait \[SECONDS\] {2}until it is done/);
});
