import { expect, it } from "vitest";
import { type Arguments, readArguments } from "../command.ts";
import { register } from "./register.ts";

function run(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<number> {
  const { signal } = new AbortController();
  const args = readArguments(register, argv) as Arguments;
  return register.run(args, {
    ...{ env, directory: "/nowhere", signal, force: signal },
    ...{ print: () => {}, say: () => {} },
  });
}

const SOUND = ["--pool", "shop", "--url", "http://10.0.0.5:80"];

it.each([
  [["--pool", "shop"], "needs --url"],
  [["--url", "http://10.0.0.5:80"], "needs --pool"],
  [["--pool=a/b", "--url", "http://10.0.0.5:80"], "--pool must be"],
  [["--pool", "shop", "--url", "10.0.0.5"], "--url must be an origin"],
  [["--pool", "shop", "--url", "http://10.0.0.5/x"], '--url must end after host and port; remove "/x"'],
  [["--pool", "shop", "--url", "tcp://10.0.0.5"], "--url has no port"],
  [[...SOUND, "--id", "a b"], "--id must be"],
  [[...SOUND, "--weight", "0"], "--weight must be"],
  [[...SOUND, "--ttl", "10"], "--ttl must be"],
  [[...SOUND, "--drain", "soon"], "--drain must be"],
  [[...SOUND, "--api", "localhost:7000"], "--api must be"],
  [SOUND, "no cluster runs from this directory"],
])("refuses %j before it does anything", async (argv, message) => {
  await expect(run(argv)).rejects.toThrow(message);
});

it.each([
  [{ EVENKEEL_SCHEDULERS: "x" }, "EVENKEEL_SCHEDULERS must be"],
  [
    { EVENKEEL_SCHEDULERS: "http://127.0.0.1:1", EVENKEEL_REGISTER_TOKEN: "a b" },
    "EVENKEEL_REGISTER_TOKEN may",
  ],
  [{ EVENKEEL_SCHEDULERS: "http://127.0.0.1:1", EVENKEEL_TOKEN: "a b" }, "EVENKEEL_TOKEN may"],
])("refuses the environment %j without repeating a token", async (env, message) => {
  const failure = run(SOUND, env);
  await expect(failure).rejects.toThrow(message);
  await expect(failure).rejects.not.toThrow("a b");
});
