// Every kind of source, by the name it has in the configuration.
import type { Source } from "@evenkeel/core/config/discovered.ts";
import type { Discovery } from "@evenkeel/core/config/resolve-discovery.ts";
import type { Registrations } from "@evenkeel/ledger/registrations.ts";
import { watchDns } from "./dns.ts";
import { createEngines } from "./docker.ts";
import { watchFile } from "./file.ts";
import { createRegistrationDesk } from "./registration.ts";
import type { RunningSource, SourceStart, Timers } from "./source.ts";

type Settings<S extends Source> = NonNullable<Discovery[S]>;
type Starters = { [S in Source]: (settings: Settings<S>, start: SourceStart) => RunningSource };

export interface Sources {
  start<S extends Source>(source: S, settings: Settings<S>, start: SourceStart): RunningSource;
  onRegistration(pool: string): void;
}

export function createSources(
  registrations: Pick<Registrations, "list">,
  schedulerAgoMs: () => Promise<number | null>,
  timers: Timers,
): Sources {
  const engines = createEngines(timers);
  const desk = createRegistrationDesk(registrations, schedulerAgoMs, timers);
  const starters: Starters = {
    file: (settings, start) => watchFile(settings, start, timers),
    dns: (settings, start) => watchDns(settings, start, { timers }),
    docker: (settings, start) => engines.watch(settings, start),
    registration: (settings, start) => desk.watch(settings, start),
  };
  return {
    start: (source, settings, start) => starters[source](settings, start),
    onRegistration: desk.onRegistration,
  };
}
