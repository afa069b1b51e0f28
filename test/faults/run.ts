// Runs sequences one after the other, on one cluster as long as all is well with it.
import { type Cluster, type ClusterOptions, startCluster } from "./cluster.ts";
import { progressLine, type Verdict, verdictOn, violationReport } from "./report.ts";
import { runSequence } from "./sequence.ts";

/** Then a fresh cluster: what only builds up over many sequences, and what only a young one has, both get their chance. */
const SEQUENCES_PER_CLUSTER = 25;

export interface RunOptions extends ClusterOptions {
  seeds: readonly number[];
  say(line: string): void;
}

/** Answers how many sequences violated a rule. */
export async function runSequences({ seeds, say, ...options }: RunOptions): Promise<number> {
  const failed: Verdict[] = [];
  let cluster: Cluster | null = null;
  let age = 0;
  const beganMs = performance.now();
  try {
    for (const [i, seed] of seeds.entries()) {
      cluster ??= await startCluster(options);
      const verdict = await judge(cluster, seed);
      say(progressLine(verdict, `${i + 1}/${seeds.length}`));
      age += 1;
      const violated = verdict.violations.length > 0;
      if (violated) {
        failed.push(verdict);
        say(violationReport(verdict, cluster));
      }
      if (!violated && age < SEQUENCES_PER_CLUSTER) continue;
      await cluster.stop();
      cluster = null;
      age = 0;
    }
  } finally {
    await cluster?.stop();
  }
  const seconds = Math.round((performance.now() - beganMs) / 1_000);
  say(`${seeds.length} sequences in ${seconds} s, ${failed.length} violated a rule`);
  for (const { seed, violations } of failed)
    say(`  seed ${seed}: ${[...new Set(violations.map(({ rule }) => rule))].join("; ")}`);
  return failed.length;
}

async function judge(cluster: Cluster, seed: number): Promise<Verdict> {
  const startedMs = performance.now();
  const facts = await runSequence(cluster, seed);
  return verdictOn(seed, facts, Math.round(performance.now() - startedMs));
}
