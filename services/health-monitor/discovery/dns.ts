// Backends out of DNS: the addresses of a name, or the services that SRV records tell. Asked again when the answer is no
// longer certain, by its TTL; an answer that does not come changes nothing.
import { randomInt } from "node:crypto";
import { getServers } from "node:dns";
import type { DnsSource } from "@evenkeel/core/config/resolve-discovery.ts";
import { addressesOf, backendAt, negativeTtlS } from "./dns-answers.ts";
import { type Ask, bareName, createAsk, nameServer } from "./dns-query.ts";
import { createServiceLookUp, type FoundByDns } from "./dns-services.ts";
import {
  backOffMs,
  type RunningSource,
  realTimers,
  reasonOf,
  type SourceStart,
  type Timers,
} from "./source.ts";

/** Of the system's name servers. */
const SERVERS_MAX = 8;
/** Of a failed round's wait, taken off by chance, so that monitors and pools do not ask all at once. */
const JITTER = 0.2;
const DEFAULT_PORT: Partial<Record<string, number>> = { http: 80, https: 443 };

export interface DnsOptions {
  timers?: Timers;
  ask?: Ask;
  /** 0 up to 1. */
  chance?: () => number;
}

export function watchDns(
  settings: DnsSource,
  { tell, known }: SourceStart,
  options: DnsOptions = {},
): RunningSource {
  const { timers = realTimers, chance = Math.random } = options;
  const ask = options.ask ?? systemAsk(settings.resolvers);
  const { minIntervalMs, maxIntervalMs } = settings;
  const lookUp = settings.type === "SRV" ? createServiceLookUp(known.length > 0, timers) : lookUpAddresses;
  let failures = 0;
  let cancel = () => {};
  let stopped = false;

  const round = async () => {
    let delayMs: number;
    try {
      const { backends, rejected, ttlS } = await lookUp(settings, ask);
      if (stopped) return;
      failures = 0;
      delayMs = Math.min(
        Math.max((ttlS ?? 0) * 1_000, minIntervalMs),
        Math.max(maxIntervalMs, minIntervalMs),
      );
      tell({ ok: true, backends, rejected });
    } catch (error) {
      if (stopped) return;
      failures += 1;
      const waitMs = backOffMs(failures, minIntervalMs, maxIntervalMs) * (1 - JITTER * chance());
      delayMs = Math.max(minIntervalMs, waitMs);
      tell({ ok: false, reason: reasonOf(error) });
    }
    cancel = timers.after(delayMs, () => void round());
  };

  void round();
  return {
    stop() {
      stopped = true;
      cancel();
    },
  };
}

/** Looked up for each question, since the system's may change. */
const systemAsk =
  (resolvers: readonly string[]): Ask =>
  (question) => {
    const texts = resolvers.length > 0 ? resolvers : getServers().slice(0, SERVERS_MAX);
    return createAsk({ servers: texts.map(nameServer), randomId: () => randomInt(65_536) })(question);
  };

async function lookUpAddresses({ name, type, scheme, port }: DnsSource, ask: Ask): Promise<FoundByDns> {
  const at = port ?? DEFAULT_PORT[scheme];
  if (at === undefined) throw new Error(`${name} ${type}: set \`port\`, which ${scheme} has none of its own`);
  const family = type === "AAAA" ? "AAAA" : "A";
  const answer = await ask({ name: bareName(name), type: family });
  const { addresses, ttlS } = addressesOf(answer.answers, name, family);
  const backends = addresses.map((address) => backendAt(scheme, address, at));
  return { backends, rejected: [], ttlS: addresses.length > 0 ? ttlS : negativeTtlS(answer) };
}
