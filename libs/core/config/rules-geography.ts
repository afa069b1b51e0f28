// What a schema cannot say of zones: that those which are named exist, where requests come from can be told, and every
// pool that reckons with distance knows the distances it will meet.
import { type DistanceTable, distanceTable } from "./geography.ts";
import { canonicalNetwork, cidrFault } from "./patterns.ts";
import { type Problem, pointer, shown } from "./problem.ts";
import { reckonsDistance } from "./resolve-scheduling.ts";
import {
  checked,
  type Draft,
  entries,
  type Part,
  type Rule,
  readable,
  repeated,
  unreadable,
} from "./rule.ts";
import type { GeographyDocument } from "./schema.ts";
import { didYouMean } from "./suggest.ts";

export const GEOGRAPHY_RULES: Record<string, Rule> = {
  uniqueZones,
  wholePlaces,
  distancesBetweenZones,
  clientNetworks,
  clientHeader,
  clientLocations,
  zonesOfBackends,
  knownDistances,
};

type Geography = NonNullable<Draft["geography"]>;

const at = (...parts: (string | number)[]) => pointer("geography", ...parts);

function* uniqueZones({ geography }: Draft) {
  yield* repeated(
    geography?.zones ?? [],
    ({ name }) => name,
    (z) => at("zones", z, "name"),
    "zone",
  );
}

const COORDINATES = ["latitude", "longitude"] as const;

function* wholePlaces({ geography }: Draft) {
  for (const [z, zone] of entries(geography?.zones)) {
    const missing = COORDINATES.filter((coordinate) => !(coordinate in zone));
    if (missing.length !== 1) continue;
    const [key = ""] = missing;
    yield { path: at("zones", z, key), message: `key "${key}" is missing: a place has both, or neither` };
  }
}

/** Null when not all of them could be read. */
function zoneNames(geography: Geography | undefined): string[] | null {
  const names = geography?.zones?.map((zone) => zone?.name);
  return names?.every((name) => name !== undefined) ? names : null;
}

function* knownZone(zone: string | undefined, known: readonly string[] | null, path: string) {
  if (zone === undefined || known === null || known.includes(zone)) return;
  yield { path, message: `\`geography\` has no zone ${shown(zone)}${didYouMean(zone, known)}` };
}

function* distancesBetweenZones({ geography }: Draft) {
  const known = zoneNames(geography);
  for (const [d, { between }] of entries(geography?.distances)) {
    for (const [i, zone] of entries(between)) yield* knownZone(zone, known, at("distances", d, "between", i));
    const [a, b] = between ?? [];
    if (a === undefined || a !== b) continue;
    yield { path: at("distances", d, "between"), message: `"${a}" is no distance away from itself` };
  }
  yield* repeated(
    geography?.distances ?? [],
    (one) => (readable(one, "between") ? one.between?.toSorted().join(" and ") : undefined),
    (d) => at("distances", d, "between"),
    "distance between",
  );
}

function* clientNetworks({ geography }: Draft) {
  const known = zoneNames(geography);
  const networks = geography?.clients?.networks;
  for (const [n, { cidr, zone }] of entries(networks)) {
    yield* checked(cidr, cidrFault, at("clients", "networks", n, "cidr"));
    yield* knownZone(zone, known, at("clients", "networks", n, "zone"));
  }
  yield* repeated(
    networks ?? [],
    ({ cidr }) => (cidr === undefined ? undefined : (canonicalNetwork(cidr) ?? undefined)),
    (n) => at("clients", "networks", n, "cidr"),
    "network",
  );
}

function* clientHeader(draft: Draft) {
  const { geography, trustedProxies } = draft;
  if (geography?.clients?.header === undefined || unreadable(draft, "trustedProxies")) return;
  if (trustedProxies?.length) return;
  const message =
    "nobody is believed: `trustedProxies` has to name those whose word on a client's zone counts";
  yield { path: at("clients", "header"), message };
}

function* clientLocations({ geography }: Draft) {
  if (geography?.clients?.maxmind === undefined || !geography.zones) return;
  const placed = geography.zones.some(
    (zone) => zone === undefined || COORDINATES.every((key) => key in zone),
  );
  if (placed) return;
  const message = "no zone has coordinates, so none is the one nearest to a client's location";
  yield { path: at("clients", "maxmind"), message };
}

function* zonesOfBackends(draft: Draft) {
  const known = zoneNames(draft.geography);
  for (const [p, pool] of entries(draft.pools)) {
    if (!reckonsDistance(pool)) continue;
    const { reckoning, path } = placeOfReckoning(p, pool);
    if (!("geography" in draft)) {
      yield { path, message: `${reckoning} needs \`geography\`: the zones, and how far they are apart` };
    }
    for (const [b, backend] of entries(pool.backends)) {
      const place = pointer("pools", p, "backends", b, "zone");
      if ("zone" in backend) yield* knownZone(backend.zone, known, place);
      else
        yield { path: place, message: `key "zone" is missing: ${reckoning} needs to know where it stands` };
    }
  }
}

function placeOfReckoning(p: number, { policy, criteria }: Part<"pools">) {
  if (policy === "geo") return { reckoning: "policy geo", path: pointer("pools", p, "policy") };
  const c = criteria?.findIndex((criterion) => criterion?.name === "distance") ?? 0;
  return { reckoning: "criterion distance", path: pointer("pools", p, "criteria", c, "name") };
}

/** A request may come from any zone. */
function* knownDistances({ geography, pools }: Draft): Generator<Problem> {
  if (!geography || !isWhole(geography)) return;
  const { zones } = geography;
  const table = distanceTable(geography);
  const names = zones.map(({ name }) => name);
  const placed = new Set(zones.flatMap(({ name, latitude }) => (latitude === undefined ? [] : [name])));
  const said = new Set<string>();
  for (const [p, pool] of entries(pools)) {
    if (!reckonsDistance(pool)) continue;
    for (const pair of pairsWithout(table, pool)) {
      const name = `"${pair.toSorted().join('" and "')}"`;
      if (said.has(name)) continue;
      said.add(name);
      const [placeless = pair[0]] = pair.filter((zone) => !placed.has(zone));
      const { reckoning } = placeOfReckoning(p, pool);
      const message = `no distance between ${name}, which ${reckoning} of pool ${shown(pool.name)} needs: give both zones coordinates, or the pair a distance in \`geography.distances\``;
      yield { path: at("zones", names.indexOf(placeless)), message };
    }
  }
}

const isWhole = (geography: Geography): geography is GeographyDocument =>
  zoneNames(geography) !== null &&
  readable(geography, "zones") &&
  readable(geography, "distances") &&
  (geography.distances ?? []).every((one) => one?.between && "distance" in one);

function* pairsWithout(table: DistanceTable, { backends }: Part<"pools">): Generator<[string, string]> {
  const targets = new Set<string>();
  for (const [, { zone }] of entries(backends)) if (zone !== undefined && table.has(zone)) targets.add(zone);
  for (const [from, row] of table) {
    for (const to of targets) if (!row.has(to)) yield [from, to];
  }
}
