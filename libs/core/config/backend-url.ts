// Where a backend is, from the url that names it. One parser for all who connect: `new URL` knows neither the default
// port of tcp:// nor an origin for it.

export const BACKEND_SCHEMES = ["http", "https", "tcp", "udp"] as const;
export type BackendScheme = (typeof BACKEND_SCHEMES)[number];

/** What can share a pool: a request may go to any of its backends. */
export type BackendFamily = "http" | "tcp" | "udp";

export interface BackendAddress {
  scheme: BackendScheme;
  /** Name or address, IPv6 without brackets. */
  host: string;
  port: number;
}

const DEFAULT_PORT: Readonly<Partial<Record<BackendScheme, number>>> = { http: 80, https: 443 };

const isScheme = (text: string): text is BackendScheme =>
  (BACKEND_SCHEMES as readonly string[]).includes(text);

/** Of a url that `originFault` accepts; null for what is none. */
export function backendAddress(url: string): BackendAddress | null {
  const scheme = backendScheme(url);
  if (scheme === null) return null;
  // As http, so that every scheme gets the same spelling of names and addresses.
  const asHttp = `http${url.slice(scheme.length)}`;
  if (!URL.canParse(asHttp)) return null;
  const { hostname, host } = new URL(asHttp);
  if (hostname === "") return null;
  // `URL` leaves port 80 out, since to it this is http.
  const written = /:(\d+)\/?$/.exec(url)?.[1];
  const port = host === "" || written === undefined ? DEFAULT_PORT[scheme] : Number(written);
  if (port === undefined) return null;
  return { scheme, host: hostname.replace(/^\[(.*)\]$/, "$1"), port };
}

/** In lower case; null for none of those that backends may have. */
export function backendScheme(url: string): BackendScheme | null {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1]?.toLowerCase() ?? "";
  return isScheme(scheme) ? scheme : null;
}

export function backendFamily(url: string): BackendFamily | null {
  const scheme = backendScheme(url);
  return scheme === "https" ? "http" : scheme;
}

/** One spelling for each backend: scheme, host and, unless it is the scheme's own, port. */
export function backendOrigin(url: string): string {
  const address = backendAddress(url);
  if (address === null) throw new Error(`not the url of a backend: ${url}`);
  const { scheme } = address;
  return `${scheme}://${authorityOf(address)}`;
}

/** What stands in Host: the port is left out where it is the scheme's own. */
export function authorityOf({ scheme, host, port }: BackendAddress): string {
  const name = host.includes(":") ? `[${host}]` : host;
  return port === DEFAULT_PORT[scheme] ? name : `${name}:${port}`;
}
