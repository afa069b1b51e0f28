// From the records of a DNS answer to backends: the chain of aliases, addresses, the ranks and shares of SRV. No I/O.
import type { BackendScheme } from "@evenkeel/core/config/backend-url.ts";
import { canonicalAddress } from "@evenkeel/core/config/patterns.ts";
import { type BackendDocument, LIMITS } from "@evenkeel/core/config/schema.ts";
import type { Answer, SrvAnswer } from "dns-packet";
import { bareName, type DnsAnswer } from "./dns-query.ts";

/** Aliases that lead from one name to the next. */
const CHAIN_MAX = 16;
/** Past it a TTL is taken for 0 (RFC 2181). */
const TTL_MAX_S = 2 ** 31 - 1;

export interface Addresses {
  addresses: string[];
  /** The shortest of the records that led there; null without any. */
  ttlS: number | null;
}

export interface Service {
  target: string;
  port: number;
  priority: number;
  weight: number;
}

/** The addresses of a name among the records, by whatever aliases. */
export function addressesOf(records: readonly Answer[], name: string, type: "A" | "AAAA"): Addresses {
  const { found, ttlS } = follow(records, name, type);
  const addresses = found.map(({ data }) => canonicalAddress(String(data))).filter((one) => one !== null);
  return { addresses: [...new Set(addresses)], ttlS };
}

/** The services of a name, best first. A target of "." says that there is decidedly none. */
export function servicesOf(
  records: readonly Answer[],
  name: string,
): { services: Service[]; ttlS: number | null } {
  const { found, ttlS } = follow(records, name, "SRV");
  const services = found
    .map(({ data }) => data as SrvAnswer["data"])
    .map(({ target, port, priority = 0, weight = 0 }) => ({
      target: bareName(target),
      port,
      priority,
      weight,
    }))
    .filter(({ target, port }) => target !== "" && port > 0);
  services.sort((a, b) => a.priority - b.priority || b.weight - a.weight || (a.target < b.target ? -1 : 1));
  return { services, ttlS };
}

function follow(records: readonly Answer[], name: string, type: "A" | "AAAA" | "SRV") {
  let current = bareName(name);
  let ttlS: number | null = null;
  const note = (record: Answer) => {
    const ttl = "ttl" in record ? (record.ttl ?? 0) : 0;
    ttlS = Math.min(ttlS ?? TTL_MAX_S, ttl > TTL_MAX_S ? 0 : ttl);
  };
  for (let link = 0; link < CHAIN_MAX; link++) {
    const its = records.filter((record) => bareName(record.name) === current);
    const found = its.filter((record) => record.type === type) as (Answer & { data: unknown })[];
    const alias = its.find((record) => record.type === "CNAME") as (Answer & { data: string }) | undefined;
    if (found.length > 0 || !alias) {
      for (const record of found) note(record);
      return { found, ttlS };
    }
    note(alias);
    current = bareName(alias.data);
  }
  throw new Error(`${name} ${type}: more than ${CHAIN_MAX} aliases in a row`);
}

/** For how long it is certain that there is nothing (RFC 2308); null: the answer does not say. */
export function negativeTtlS({ authorities }: DnsAnswer): number | null {
  const soa = authorities.find((record) => record.type === "SOA");
  if (soa?.type !== "SOA") return null;
  return Math.min(soa.ttl ?? 0, soa.data.minimum ?? 0);
}

/** A backend per address and port; its id comes from these alone, so it stays whatever the order of the records. */
export function backendAt(scheme: BackendScheme, address: string, port: number): BackendDocument {
  const host = address.includes(":") ? `[${address}]` : address;
  return {
    id: `${address.replaceAll(":", "-").replace(/^-/, "0-")}-${port}`,
    url: `${scheme}://${host}:${port}`,
  };
}

/**
 * Ranks become tiers, lowest first; more ranks than tiers share the last one. Shares become weights, and are kept in
 * proportion where one is more than a weight can be.
 */
export function backendsOf(
  services: readonly Service[],
  addressesOf: (target: string) => readonly string[],
  scheme: BackendScheme,
): BackendDocument[] {
  const ranks = [...new Set(services.map(({ priority }) => priority))].toSorted((a, b) => a - b);
  const scale = Math.min(1, LIMITS.weight / Math.max(1, ...services.map(({ weight }) => weight)));
  const backends = new Map<string, BackendDocument>();
  for (const { target, port, priority, weight } of services) {
    for (const address of addressesOf(target)) {
      const backend = backendAt(scheme, address, port);
      if (backends.has(backend.id)) continue;
      backends.set(backend.id, {
        ...backend,
        weight: Math.max(1, Math.round(weight * scale)),
        priority: Math.min(ranks.indexOf(priority), LIMITS.priority),
      });
    }
  }
  return [...backends.values()];
}
