// The short form of `npm run test:faults`: a few sequences with fixed seeds, which between them have faults of every role.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { planFaults } from "../faults/plan.ts";
import { startReaper } from "../faults/processes.ts";
import { runSequences } from "../faults/run.ts";
import { redisExecutable, WHY_SKIPPED } from "../support/redis-process.ts";

const SEEDS = [4, 5, 31];
const TIMEOUT_MS = 120_000;

it("comes to every role with the seeds of the short form", () => {
  const roles = new Set(SEEDS.flatMap(planFaults).map(({ role }) => role));
  expect([...roles].toSorted()).toEqual(["backend", "gateway", "health-monitor", "redis", "scheduler"]);
});

it.skipIf(redisExecutable === null)(
  `loses no transition, backend, count or request in random sequences of faults${WHY_SKIPPED}`,
  async () => {
    const reaper = startReaper();
    const directory = await mkdtemp(join(tmpdir(), "evenkeel-faults-"));
    const said: string[] = [];
    const say = (line: string) => void said.push(line);
    const program = redisExecutable as string;
    const options = { program, directory, reaper, seeds: SEEDS, say };
    const failed = await runSequences(options).finally(() => {
      reaper.stop();
      return rm(directory, { recursive: true, force: true });
    });
    expect(failed, said.join("\n")).toBe(0);
  },
  TIMEOUT_MS,
);
