// Who is alive, as a metric and an alarm: nothing is ever ejected because the health-monitors are gone, but somebody
// should know that nobody probes.
import { type Member, ROLES } from "@evenkeel/core/wire/member.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Metrics } from "@evenkeel/runtime/metrics.ts";

const INTERVAL_MS = 1_000;

export interface MembersWatchOptions {
  readMembers: () => Promise<Member[]>;
  metrics: Pick<Metrics, "gauge">;
  log: Log;
}

export function watchMembers({ readMembers, metrics, log }: MembersWatchOptions): { close(): void } {
  const alive = metrics.gauge("evenkeel_members", "Processes alive, by role; alarm on health-monitor = 0", [
    "role",
  ]);
  let probed = false;
  const look = async () => {
    const members = await readMembers();
    const count = (role: Member["role"]) => members.filter((member) => member.role === role).length;
    for (const role of ROLES) alive.set({ role }, count(role));
    const monitors = count("health-monitor");
    if (probed && monitors === 0) log.warn("no health-monitor is alive: only traffic takes backends out now");
    if (!probed && monitors > 0) log.info({ monitors }, "health-monitors are alive");
    probed = monitors > 0;
  };
  const timer = setInterval(() => look().catch(() => {}), INTERVAL_MS); // Redis is away: that is said elsewhere
  return { close: () => clearInterval(timer) };
}
