// From what the Docker Engine lists to the backends of each pool, as containers ask for with labels. No I/O.
import { BACKEND_SCHEMES } from "@evenkeel/core/config/backend-url.ts";
import type { DockerSource } from "@evenkeel/core/config/resolve-discovery.ts";
import { type BackendDocument, LIMITS, NAME_PATTERN } from "@evenkeel/core/config/schema.ts";
import type { SourceAnswer } from "./source.ts";

export const POOL_LABEL = "evenkeel.pool";

/** As far as it is used of the Engine's own listing. */
export interface Container {
  Id: string;
  Names?: string[] | null;
  Labels?: Record<string, string>;
  /** created, running, paused, … */
  State?: string;
  /** For people, with the health check's finding in it: "Up 5 minutes (healthy)". */
  Status?: string;
  NetworkSettings?: {
    Networks?: Record<string, { IPAddress?: string; GlobalIPv6Address?: string } | null>;
  };
}

/** Of one pool. Containers that the Engine itself finds unhealthy or not yet healthy are left out without a word. */
export function backendsOf(
  containers: readonly Container[],
  pool: string,
  { network }: Pick<DockerSource, "network">,
): SourceAnswer & { ok: true } {
  const backends: BackendDocument[] = [];
  const rejected: { what: string; reason: string }[] = [];
  for (const container of containers) {
    if (container.Labels?.[POOL_LABEL] !== pool || !serves(container)) continue;
    const found = backendOf(container, network);
    if (typeof found === "string") rejected.push({ what: nameOf(container), reason: found });
    else backends.push(found);
  }
  return { ok: true, backends, rejected };
}

function serves({ State, Status = "" }: Container): boolean {
  return State === "running" && !/\((unhealthy|health: starting)\)/.test(Status);
}

/** With the first "/" of the Engine's names; those with another one are of links. */
function nameOf({ Names, Id }: Container): string {
  const own = Names?.find((name) => name.lastIndexOf("/") === 0);
  return own?.slice(1) ?? Id.slice(0, 12);
}

/** Or the reason why it is none. */
function backendOf(container: Container, network: string | null): BackendDocument | string {
  const labels = container.Labels ?? {};
  const address = addressOf(container, network);
  if ("fault" in address) return address.fault;
  const port = wholeNumber(labels, "port", 1, 65_535);
  const weight = wholeNumber(labels, "weight", 1, LIMITS.weight);
  const priority = wholeNumber(labels, "priority", 0, LIMITS.priority);
  for (const read of [port, weight, priority]) if (typeof read === "string") return read;
  if (port === null) return `label evenkeel.port is missing`;
  const {
    "evenkeel.scheme": scheme = "http",
    "evenkeel.zone": zone,
    "evenkeel.id": id = nameOf(container),
  } = labels;
  if (!(BACKEND_SCHEMES as readonly string[]).includes(scheme))
    return `label evenkeel.scheme "${scheme}" is none of ${BACKEND_SCHEMES.join(", ")}`;
  if (!isName(id))
    return `"${id}" cannot be an id: set label evenkeel.id to 1 to 63 letters, digits, ".", "_" or "-"`;
  if (zone !== undefined && !isName(zone)) return `label evenkeel.zone "${zone}" is not the name of a zone`;
  return {
    id,
    url: `${scheme}://${address.host}:${port}`,
    ...(weight === null ? {} : { weight: weight as number }),
    ...(zone === undefined ? {} : { zone }),
    ...(priority === null ? {} : { priority: priority as number }),
  };
}

const isName = (text: string): boolean => new RegExp(NAME_PATTERN).test(text);

/** Null: not labelled; text: what is wrong with it. */
function wholeNumber(
  labels: Record<string, string>,
  name: string,
  from: number,
  to: number,
): number | string | null {
  const text = labels[`evenkeel.${name}`];
  if (text === undefined) return null;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : -1;
  return value >= from && value <= to
    ? value
    : `label evenkeel.${name} "${text}" is no whole number from ${from} to ${to}`;
}

function addressOf(
  { NetworkSettings }: Container,
  network: string | null,
): { host: string } | { fault: string } {
  const addresses = Object.entries(NetworkSettings?.Networks ?? {}).flatMap(([name, settings]) => {
    const host = settings?.IPAddress || (settings?.GlobalIPv6Address && `[${settings.GlobalIPv6Address}]`);
    return host ? [{ name, host }] : [];
  });
  if (network !== null) {
    const address = addresses.find(({ name }) => name === network);
    return address ?? { fault: `has no address on network "${network}"` };
  }
  const [first, ...more] = addresses;
  if (!first) return { fault: "has no address of its own (the host's network, or none)" };
  const names = addresses.map(({ name }) => name).join(", ");
  return more.length === 0
    ? first
    : { fault: `is on several networks (${names}): set \`network\` to one of them` };
}
