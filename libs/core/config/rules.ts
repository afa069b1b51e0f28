// What a schema cannot say: how the parts of a configuration belong together. A table of small pure rules, each
// answering every fault of its kind. They run on a document that may be faulty elsewhere, so anything may be absent.
import { backendOrigin } from "./backend-url.ts";
import { addressFault, canonicalAddress, cidrFault, originFault } from "./patterns.ts";
import { pointer } from "./problem.ts";
import { checked, type Draft, entries, type Rule, repeated } from "./rule.ts";
import { ACCESS_RULES } from "./rules-access.ts";
import { DISCOVERY_RULES } from "./rules-discovery.ts";
import { FAILOVER_RULES } from "./rules-failover.ts";
import { GEOGRAPHY_RULES } from "./rules-geography.ts";
import { HEALTH_RULES } from "./rules-health.ts";
import { LISTENER_RULES } from "./rules-listeners.ts";
import { NOTIFICATION_RULES } from "./rules-notifications.ts";
import { RESILIENCE_RULES } from "./rules-resilience.ts";
import { ROUTING_RULES } from "./rules-routing.ts";
import { SCHEDULING_RULES } from "./rules-scheduling.ts";
import { STREAM_RULES } from "./rules-streams.ts";

export const RULES: Record<string, Rule> = {
  uniqueNames,
  uniqueBackends,
  listenersDoNotOverlap,
  backendUrls,
  addresses,
  ...LISTENER_RULES,
  ...STREAM_RULES,
  ...ROUTING_RULES,
  ...ACCESS_RULES,
  ...RESILIENCE_RULES,
  ...SCHEDULING_RULES,
  ...GEOGRAPHY_RULES,
  ...HEALTH_RULES,
  ...FAILOVER_RULES,
  ...DISCOVERY_RULES,
  ...NOTIFICATION_RULES,
};

function* uniqueNames({ listeners, routes, pools }: Draft) {
  for (const [kind, parts] of Object.entries({ listeners, routes, pools })) {
    yield* repeated(
      parts ?? [],
      (part) => part.name,
      (i) => pointer(kind, i, "name"),
      "name",
    );
  }
}

function* uniqueBackends({ pools }: Draft) {
  for (const [p, pool] of entries(pools)) {
    const place = (key: string) => (i: number) => pointer("pools", p, "backends", i, key);
    yield* repeated(pool.backends ?? [], (backend) => backend.id, place("id"), "id");
    yield* repeated(pool.backends ?? [], (backend) => originOf(backend.url), place("url"), "url");
  }
}

const originOf = (url: string | undefined): string | undefined =>
  url === undefined || originFault(url) !== null ? undefined : backendOrigin(url);

function* listenersDoNotOverlap({ listeners }: Draft) {
  const seen: { i: number; port: number; address: string; udp: boolean }[] = [];
  for (const [i, { protocol, port, address: written = "0.0.0.0" }] of entries(listeners)) {
    const address = canonicalAddress(written);
    if (protocol === undefined || port === undefined || port === 0 || address === null) continue;
    const udp = protocol === "udp"; // its ports are others than those of all that runs over TCP
    const other = seen.find(
      (one) => one.port === port && one.udp === udp && addressesOverlap(one.address, address),
    );
    if (other) {
      const where = `${other.address} port ${port} of ${pointer("listeners", other.i)}`;
      yield { path: pointer("listeners", i, "port"), message: `overlaps with ${where}` };
    }
    seen.push({ i, port, address, udp });
  }
}

/** A socket bound to :: takes IPv4 connections too. */
function addressesOverlap(a: string, b: string): boolean {
  if (a === b || a === "::" || b === "::") return true;
  return (a === "0.0.0.0" && !b.includes(":")) || (b === "0.0.0.0" && !a.includes(":"));
}

function* backendUrls({ pools }: Draft) {
  for (const [p, pool] of entries(pools)) {
    for (const [b, backend] of entries(pool.backends)) {
      yield* checked(backend.url, originFault, pointer("pools", p, "backends", b, "url"));
    }
  }
}

function* addresses({ listeners, trustedProxies }: Draft) {
  for (const [l, listener] of entries(listeners)) {
    yield* checked(listener.address, addressFault, pointer("listeners", l, "address"));
  }
  for (const [t, cidr] of entries(trustedProxies)) {
    yield* checked(cidr, cidrFault, pointer("trustedProxies", t));
  }
}
