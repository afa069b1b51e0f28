// Names in the urls of backends are looked up by the system's resolver, four at a time in a process, and a lookup cannot
// be taken back when its probe is over. So a name is asked for once at a time, for all probes that want it meanwhile: when
// the resolver hangs, as many lookups wait as there are names, and not as many as there were probes.
import { lookup } from "node:dns";
import type { LookupFunction } from "node:net";

type Told = Parameters<LookupFunction>[2];

/** Probes that wait for a name, or did: more than are open at any moment, agents included. */
const WAITING_MAX = 8_192;

export function createLookup(resolve: LookupFunction, waitingMax = WAITING_MAX): LookupFunction {
  const asked = new Map<string, Told[]>();
  let waiting = 0;
  return (hostname, options, told) => {
    if (waiting >= waitingMax) {
      const error = Object.assign(new Error(`too many wait for ${hostname}`), { code: "EAI_AGAIN" });
      setImmediate(told, error, "");
      return;
    }
    waiting += 1;
    const { family, hints, all, order } = options;
    const key = JSON.stringify([hostname, family, hints, all, order]);
    const others = asked.get(key);
    if (others) {
      others.push(told);
      return;
    }
    const everyone = [told];
    asked.set(key, everyone);
    resolve(hostname, options, (...answer) => {
      asked.delete(key);
      waiting -= everyone.length;
      for (const one of everyone) one(...answer);
    });
  };
}

export const probeLookup: LookupFunction = createLookup(lookup as LookupFunction);
