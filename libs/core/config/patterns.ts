// The small languages inside a configuration: origins, host and path patterns, addresses, CIDRs. Each check answers
// null for what is sound, else the sentence that says what is wrong.

import { parseAddress } from "../network/networks.ts";
import { BACKEND_SCHEMES, backendScheme } from "./backend-url.ts";

type Check = (text: string) => string | null;

const MAX_HOST_LENGTH = 253;
const HOST_LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;
/** What a request path may hold as it is (RFC 3986 `pchar` and "/"). */
const PATH_CHARACTERS = /^[A-Za-z0-9\-._~!$&'()*+,;=:@/%]*$/;
/** … and its query. */
const QUERY_CHARACTERS = /^[A-Za-z0-9\-._~!$&'()*+,;=:@/?%]*$/;

/** A backend's address: http://host[:port], https://host[:port], tcp://host:port, udp://host:port, and nothing else. */
export const originFault: Check = (text) => {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) return "must be an origin such as http://10.0.0.1:8080";
  if (backendScheme(text) === null) {
    const known = BACKEND_SCHEMES.map((one) => `${one}://`).join(", ");
    return `scheme "${scheme}" is not supported; backends are reached by ${known}`;
  }
  const rest = text.slice(`${scheme}://`.length);
  const authority = rest.split(/[/?#\\]/, 1)[0] ?? "";
  const after = rest.slice(authority.length);
  if (authority.includes("@")) return "must not hold credentials";
  if (after !== "" && after !== "/") return `must end after host and port; remove "${after}"`;
  const port = /:([^:\]]*)$/.exec(authority)?.[1];
  if (port !== undefined && !isPort(port)) return `port "${port}" is not a whole number from 1 to 65535`;
  if (/\s/.test(text) || !URL.canParse(`http://${rest}`)) return "has no valid host name or address";
  if (port === undefined && !scheme.startsWith("http")) {
    return `has no port: ${scheme} has none of its own, so write ${scheme}://${authority}:${scheme === "udp" ? 53 : 5432}`;
  }
  return null;
};

const isPort = (text: string): boolean =>
  /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535;

/** A route's host: shop.example.com, or *.example.com. */
export const hostFault: Check = (text) => {
  if (text === "*") return "leave `host` out to match every host";
  if (text.includes("://")) return "must be a host name only, without a scheme";
  if (text.includes("/")) return "must be a host name only; a path goes into `path`";
  if (/:\d*$/.test(text)) return "must not hold a port: a route matches its host on every listener";
  if (text.length > MAX_HOST_LENGTH) return `must be at most ${MAX_HOST_LENGTH} characters`;
  const labels = text.split(".");
  if (labels[0] === "*") labels.shift();
  if (labels.some((label) => label.includes("*")))
    return "`*` may only stand alone as the first label: *.example.com";
  const wrong = labels.find((label) => !HOST_LABEL.test(label));
  if (wrong === undefined) return null;
  return wrong === "" ? "has an empty label" : `"${wrong}" is not a valid label of a host name`;
};

/** A route's path: /exact, or /prefix/*. */
export const pathFault: Check = (text) => {
  const common = requestPathFault(text);
  if (common !== null) return common;
  const segments = text.slice(1).split("/");
  const star = segments.findIndex((segment) => segment.includes("*"));
  if (star !== -1 && (star !== segments.length - 1 || segments[star] !== "*")) {
    return "`*` may only stand alone as the last segment: /prefix/*";
  }
  const plain = segments.map((segment) => segment.replaceAll(/%2e/gi, "."));
  if (plain.includes(".") || plain.includes("..")) return "must not hold the segments . or ..";
  if (/%2f/i.test(text)) return "must not hold a percent-encoded slash";
  return null;
};

/** Anything that could be the path of a request. */
export const requestPathFault: Check = (text) => {
  if (!text.startsWith("/")) return 'must start with "/"';
  if (/[?#]/.test(text)) return "must not hold a query or fragment";
  if (!PATH_CHARACTERS.test(text)) return "holds a character that has to be percent-encoded in a path";
  return /%(?![0-9a-f]{2})/i.test(text) ? "holds a `%` that two hexadecimal digits do not follow" : null;
};

/** What a probe asks for: a path, perhaps with a query. */
export const requestTargetFault: Check = (text) => {
  const [path = "", ...query] = text.split("?");
  if (!QUERY_CHARACTERS.test(query.join("?")))
    return "holds a character that has to be percent-encoded in a query";
  return requestPathFault(path);
};

/** A listener's address. */
export const addressFault: Check = (text) =>
  canonicalAddress(text) === null ? "must be an IP address, such as 0.0.0.0, 127.0.0.1 or ::" : null;

export const cidrFault: Check = (text) => {
  const [address = "", bits, ...rest] = text.split("/");
  const canonical = canonicalAddress(address);
  if (canonical === null) return "must be a network such as 10.0.0.0/8 or fd00::/8";
  const width = canonical.includes(":") ? 128 : 32;
  if (bits === undefined) return `a single address is written ${address}/${width}`;
  const sound = rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= width;
  return sound
    ? null
    : `prefix length "${[bits, ...rest].join("/")}" is not a whole number from 0 to ${width}`;
};

/** One spelling for each IP address, so that two can be compared; null for what is none. */
export function canonicalAddress(text: string): string | null {
  if (/^\d+\.\d+\.\d+\.\d+$/.test(text)) {
    return text.split(".").every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)
      ? text
      : null;
  }
  if (!/^[0-9a-f:.]+$/i.test(text) || !text.includes(":")) return null;
  const url = `http://[${text}]/`;
  return URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : null;
}

/** Whether all addresses of a network are in another one. Both are valid. */
export function networkHolds(wider: string, network: string): boolean {
  const [address = "", bits = ""] = network.split("/");
  const [, widerBits = ""] = wider.split("/");
  if (Number(widerBits) > Number(bits)) return false;
  const narrowed = canonicalNetwork(`${address}/${widerBits}`);
  return narrowed !== null && narrowed === canonicalNetwork(wider);
}

/** One spelling for each network, whatever stands behind its prefix; null for what is none. */
export function canonicalNetwork(cidr: string): string | null {
  const [text = "", bits] = cidr.split("/");
  const address = cidrFault(cidr) === null ? parseAddress(text) : null;
  if (address === null) return null;
  if (typeof address === "bigint") return `IPv6 ${address >> BigInt(128 - Number(bits))}/${Number(bits)}`;
  const length = text.includes(":") ? Math.max(0, Number(bits) - 96) : Number(bits);
  return `IPv4 ${Math.floor(address / 2 ** (32 - length))}/${length}`;
}
