// The contract of every ledger, as tests: run by the model's own test and by the Redis ledger's.
import { describe } from "vitest";
import { agents } from "./contract/agents.ts";
import { atMostAShare } from "./contract/at-most-a-share.ts";
import { batches } from "./contract/batches.ts";
import { byChance } from "./contract/by-chance.ts";
import { byLoad } from "./contract/by-load.ts";
import { byRequest } from "./contract/by-request.ts";
import { byWhatIsLearned } from "./contract/by-what-is-learned.ts";
import { counting } from "./contract/counting.ts";
import { damping } from "./contract/damping.ts";
import { eligibility } from "./contract/eligibility.ts";
import { everyPolicy } from "./contract/every-policy.ts";
import { failureShare } from "./contract/failure-share.ts";
import { findings } from "./contract/findings.ts";
import { health } from "./contract/health.ts";
import { learning } from "./contract/learning.ts";
import { log } from "./contract/log.ts";
import { preferring } from "./contract/preferring.ts";
import type { Create } from "./contract/scene.ts";
import { slowStart } from "./contract/slow-start.ts";
import { pace } from "./contract/slow-start-pace.ts";
import { tiers } from "./contract/tiers.ts";
import { versions } from "./contract/versions.ts";

export type { Subject } from "./contract/scene.ts";

const PARTS = [
  counting,
  batches,
  byLoad,
  byChance,
  byRequest,
  byWhatIsLearned,
  everyPolicy,
  preferring,
  eligibility,
  tiers,
  slowStart,
  pace,
  health,
  damping,
  failureShare,
  atMostAShare,
  findings,
  agents,
  learning,
  versions,
  log,
];

export function ledgerContract(name: string, create: Create): void {
  describe(`${name} keeps the ledger's contract`, () => {
    for (const part of PARTS) part(create);
  });
}
