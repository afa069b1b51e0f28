// The zone a request comes from: the first of what a trusted proxy says, the network of the client's address, the place
// of that address, and this gateway's own zone. Built anew only when the geography changes, not with every
// configuration: it may hold 100,000 networks.
import { isDeepStrictEqual } from "node:util";
import { distanceKm, type Place } from "@evenkeel/core/config/geography.ts";
import type { Geography } from "@evenkeel/core/config/resolve.ts";
import { createNetworks } from "@evenkeel/core/network/networks.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Metrics } from "@evenkeel/runtime/metrics.ts";
import { type Fields, fieldOf } from "../messages/fields.ts";
import { type LocationFile, openLocationFile } from "./location-file.ts";
import { remember } from "./remember.ts";

/** Addresses whose zone is remembered; each takes about 150 bytes. */
const ADDRESSES_REMEMBERED = 10_000;

/**
 * @param fields of the request; null when its peer is not trusted
 * @returns undefined: from nowhere that is known
 */
export type ZoneOf = (address: string, fields: Fields | null) => string | undefined;

export interface Zones {
  /** From what the configuration says now. */
  configure(geography: Geography): ZoneOf;
  close(): void;
}

export interface ZonesOptions {
  /** Of this gateway; empty: nobody said. */
  own: string;
  metrics: Metrics;
  log: Log;
}

interface Built {
  geography: Geography;
  zoneOf: ZoneOf;
  file: LocationFile | null;
}

export function createZones({ own, metrics, log }: ZonesOptions): Zones {
  const unreadable = metrics.gauge(
    "evenkeel_gateway_location_file_unusable",
    "1 while the MaxMind file of the configuration cannot be read",
    [],
    "max",
  );
  let built: Built | null = null;

  const build = (geography: Geography): Built => {
    const names = new Set(geography.zones.map(({ name }) => name));
    if (own !== "" && !names.has(own)) log.warn({ zone: own }, "this gateway's zone is not in the geography");
    const home = names.has(own) ? own : undefined;
    const networks = createNetworks(geography.networks.map(({ cidr, zone }) => ({ cidr, value: zone })));
    const nearest = nearestOf(geography.zones);
    let byAddress: (address: string) => string | undefined;
    const forget = () => {
      byAddress = remember(ADDRESSES_REMEMBERED, (address: string) => {
        const place = () => file?.find(address) ?? null;
        return networks.find(address) ?? nearest(place()) ?? home;
      });
    };
    const { maxmind: path, header } = geography;
    const file = path === null ? null : openLocationFile({ path, log, unreadable, onOpen: forget });
    forget();
    const zoneOf: ZoneOf = (address, fields) => {
      const told = header === null || fields === null ? undefined : fieldOf(fields, header);
      return told !== undefined && names.has(told) ? told : byAddress(address);
    };
    return { geography, zoneOf, file };
  };

  return {
    configure(geography) {
      if (built && isDeepStrictEqual(built.geography, geography)) return built.zoneOf;
      built?.file?.close();
      built = build(geography);
      return built.zoneOf;
    },
    close: () => built?.file?.close(),
  };
}

/** Among the zones with coordinates. */
function nearestOf(zones: Geography["zones"]): (place: Place | null) => string | null {
  const places = zones.flatMap(({ name, latitude, longitude }) =>
    latitude === null || longitude === null ? [] : [{ name, place: { latitude, longitude } }],
  );
  return (from) => {
    if (from === null) return null;
    let nearest: string | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const { name, place } of places) {
      const distance = distanceKm(from, place);
      if (distance >= least) continue;
      nearest = name;
      least = distance;
    }
    return nearest;
  };
}
