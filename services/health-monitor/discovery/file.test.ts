import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { FILE_BYTES_MAX, watchFile } from "./file.ts";
import { realTimers } from "./source.ts";
import { collectAnswers } from "./test-support/answers.ts";

const listOf = (...ids: string[]) =>
  JSON.stringify(ids.map((id, i) => ({ id, url: `http://10.0.0.${i + 1}:80` })));

function folder() {
  const path = mkdtempSync(join(tmpdir(), "evenkeel-file-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** @param pollMs instead of the regular looks; 0: none @param settleMs instead of the usual */
function watching(path: string, pollMs = 0, settleMs = 20) {
  const seen = collectAnswers();
  const timers = {
    nowMs: realTimers.nowMs,
    after: (delayMs: number, run: () => void) => {
      if (delayMs <= 100) return realTimers.after(settleMs, run);
      return pollMs > 0 ? realTimers.after(pollMs, run) : () => {};
    },
  };
  const source = watchFile({ path }, seen.start, timers);
  onTestFinished(() => source.stop());
  return { ...seen, source };
}

describe("a file of backends", () => {
  it("is read, and again when it is written anew", async () => {
    const path = join(folder(), "shop.yaml");
    writeFileSync(path, '- { id: a, url: "http://10.0.0.1:80", weight: 3 }\n');
    const file = watching(path);
    await file.until("read", () => file.answers.length === 1);
    expect(file.last()).toEqual({
      ok: true,
      backends: [{ id: "a", url: "http://10.0.0.1:80", weight: 3 }],
    });
    writeFileSync(path, listOf("a", "b"));
    await file.until("read again", () => file.ids()?.join() === "a,b");
  });

  it("is followed when it is replaced by renaming", async () => {
    const path = join(folder(), "shop.json");
    writeFileSync(path, listOf("a"));
    const file = watching(path);
    await file.until("read", () => file.ids()?.join() === "a");
    for (const id of ["b", "c", "d"]) {
      writeFileSync(`${path}.new`, listOf(id));
      renameSync(`${path}.new`, path);
      await file.until(`has ${id}`, () => file.ids()?.join() === id);
    }
    expect(file.answers.every(({ ok }) => ok)).toBe(true);
  });

  it("is followed through links that are turned, as Kubernetes does", async () => {
    const at = folder();
    const put = (version: string, text: string) => {
      mkdirSync(join(at, version));
      writeFileSync(join(at, version, "shop.json"), text);
      symlinkSync(version, join(at, "..data_tmp"));
      renameSync(join(at, "..data_tmp"), join(at, "..data"));
    };
    put("..one", listOf("a"));
    symlinkSync(join("..data", "shop.json"), join(at, "shop.json"));
    const file = watching(join(at, "shop.json"));
    await file.until("read", () => file.ids()?.join() === "a");
    put("..two", listOf("a", "b"));
    await file.until("read anew", () => file.ids()?.join() === "a,b");
  });

  it("fails with its line while it is not valid, and recovers", async () => {
    const path = join(folder(), "shop.yaml");
    writeFileSync(path, "- id: a\n  url: http://10.0.0.1:80\n- id: b\n  url: nowhere\n");
    const file = watching(path);
    await file.until("read", () => file.answers.length === 1);
    expect(file.reason()).toMatch(/shop\.yaml:4 \/1\/url must be an origin/);
    writeFileSync(path, "");
    await file.until("empty", () => /is empty/.test(file.reason() ?? ""));
    writeFileSync(path, listOf("a"));
    await file.until("valid", () => file.ids()?.join() === "a");
  });

  it("fails while it is not there, and is found when its whole directory comes", async () => {
    const at = join(folder(), "later");
    const file = watching(join(at, "shop.json"), 30);
    await file.until("missed", () => /ENOENT/.test(file.reason() ?? ""));
    mkdirSync(at);
    writeFileSync(join(at, "shop.json"), listOf("a"));
    await file.until("found", () => file.ids()?.join() === "a");
    rmSync(at, { recursive: true });
    await file.until("missed again", () => /ENOENT/.test(file.reason() ?? ""));
    mkdirSync(at);
    writeFileSync(join(at, "shop.json"), listOf("b"));
    await file.until("found again", () => file.ids()?.join() === "b");
  });

  it("is not read while it is being written", async () => {
    const path = join(folder(), "shop.json");
    const whole = listOf("a", "b", "c");
    writeFileSync(path, whole);
    const file = watching(path, 5, 150);
    await file.until("read", () => file.answers.length === 1);
    // Each piece is followed by the next before it has settled.
    for (let end = 0; end <= whole.length; end += 10) {
      writeFileSync(path, whole.slice(0, end));
      await new Promise((resolve) => setImmediate(resolve));
    }
    writeFileSync(path, listOf("a", "b", "c", "d"));
    await file.until("read again", () => file.ids()?.length === 4);
    expect(file.answers).toHaveLength(2);
  });

  it("is refused when it is too large, or no file", async () => {
    const path = join(folder(), "shop.json");
    writeFileSync(path, " ".repeat(FILE_BYTES_MAX + 1));
    const file = watching(path);
    await file.until("refused", () => /larger than/.test(file.reason() ?? ""));
    const other = watching(tmpdir());
    await other.until("refused", () => /is no file/.test(other.reason() ?? ""));
  });

  it("is told once, however often it is looked at", async () => {
    const path = join(folder(), "shop.json");
    writeFileSync(path, listOf("a"));
    const file = watching(path, 5);
    await file.until("read", () => file.answers.length === 1);
    let looks = 0;
    await file.until("looked at", () => ++looks > 5);
    expect(file.answers).toHaveLength(1);
  });

  it("tells nothing any more once stopped", async () => {
    const path = join(folder(), "shop.json");
    writeFileSync(path, listOf("a"));
    const file = watching(path, 5);
    file.source.stop();
    const other = watching(path, 5);
    await other.until("read", () => other.answers.length === 1);
    writeFileSync(path, listOf("b"));
    await other.until("read again", () => other.ids()?.join() === "b");
    expect(file.answers).toEqual([]);
  });
});
