// How far zones are from each other: as the configuration says, else along the surface of the earth.
import type { GeographyDocument } from "./schema.ts";

const EARTH_RADIUS_KM = 6_371;

export interface Place {
  latitude: number;
  longitude: number;
}

/** zone → zone → distance. */
export type Distances = Record<string, Record<string, number>>;

/** The same between all zones; a pair whose distance nobody knows is absent. */
export type DistanceTable = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** Great-circle distance, whole km (haversine formula). */
export function distanceKm(a: Place, b: Place): number {
  const radians = (degrees: number) => (degrees * Math.PI) / 180;
  const half = (degrees: number) => Math.sin(radians(degrees) / 2) ** 2;
  const chord =
    half(b.latitude - a.latitude) +
    Math.cos(radians(a.latitude)) * Math.cos(radians(b.latitude)) * half(b.longitude - a.longitude);
  return Math.round(2 * EARTH_RADIUS_KM * Math.asin(Math.sqrt(Math.min(1, chord))));
}

/** Once per configuration: thousands of pairs, for up to a thousand pools. */
export function distanceTable({ zones, distances = [] }: GeographyDocument): DistanceTable {
  const table = new Map(zones.map(({ name }) => [name, new Map([[name, 0]])]));
  for (const from of zones) {
    for (const to of zones) {
      const [a, b] = [placeOf(from), placeOf(to)];
      if (a && b) table.get(from.name)?.set(to.name, distanceKm(a, b));
    }
  }
  for (const { between, distance } of distances) {
    const [a, b] = between as [string, string];
    table.get(a)?.set(b, distance);
    table.get(b)?.set(a, distance);
  }
  return table;
}

/** From every zone to each of `to`. */
export function distancesTo(table: DistanceTable, to: ReadonlySet<string>): Distances {
  const rows = [...table].map(([from, row]) => [
    from,
    Object.fromEntries([...row].filter(([zone]) => to.has(zone))),
  ]);
  return Object.fromEntries(rows);
}

function placeOf({ latitude, longitude }: GeographyDocument["zones"][number]): Place | null {
  return latitude === undefined || longitude === undefined ? null : { latitude, longitude };
}
