import { mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createSecretFiles } from "./secret-file.ts";

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "evenkeel-secret-"));
  path = join(directory, "secret");
});
afterEach(() => rm(directory, { recursive: true }));

test("a secret is read again when its file changed", async () => {
  const files = createSecretFiles();
  await writeFile(path, "first\n");
  expect((await files.key(path)).toString()).toBe("first");
  await writeFile(path, "other\n");
  await utimes(path, 1, 1);
  expect((await files.key(path)).toString()).toBe("other");
});

test("a fault names the file, and nothing of what is in it", async () => {
  const files = createSecretFiles();
  await expect(files.key(path)).rejects.toThrow(`secretFile ${path}: ENOENT`);
  await writeFile(path, "s".repeat(5_000));
  await expect(files.key(path)).rejects.toThrow(`secretFile ${path}: has more than 4096 bytes`);
  await writeFile(path, "");
  await expect(files.key(path)).rejects.toThrow("the secret is empty");
});
