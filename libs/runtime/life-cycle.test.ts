import { execFile } from "node:child_process";
import { expect, test } from "vitest";

const here = (file: string) => JSON.stringify(new URL(file, import.meta.url).href);

/** A service, as a process of its own, whose start is this text. */
function startService(text: string): Promise<{ code: number; err: string }> {
  const script = `
    import { createServer } from "node:net";
    import { once } from "node:events";
    import { EnvironmentError } from ${here("./environment.ts")};
    import { runService } from ${here("./life-cycle.ts")};
    await runService(async () => { ${text} });`;
  return new Promise((resolve) => {
    execFile(process.execPath, ["--input-type=module", "-e", script], (error, _, err) =>
      resolve({ code: error ? Number(error.code ?? 1) : 0, err }),
    );
  });
}

test("a faulty environment ends the start with its sentence and exit code 2", async () => {
  const { code, err } = await startService('throw new EnvironmentError("EVENKEEL_X must be y");');
  expect(code).toBe(2);
  expect(err).toBe("EVENKEEL_X must be y\n");
});

test("an address that cannot be listened on is told without a stack", async () => {
  // TEST-NET-1, which no machine has.
  const { code, err } = await startService('await once(createServer().listen(0, "192.0.2.1"), "listening");');
  expect(code).toBe(1);
  expect(err).toMatch(/^cannot start: listen EADDRNOTAVAIL.*192\.0\.2\.1.*\n$/);
});

test("anything else shows where it was thrown", async () => {
  const { code, err } = await startService('throw new Error("unforeseen");');
  expect(code).toBe(1);
  expect(err).toMatch(/unforeseen\n\s+at /);
});
