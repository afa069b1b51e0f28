// Who may use a route, with every default filled in. Header names are in lower case.
import { parseScrypt, type ScryptHash } from "../access/password-hash.ts";
import type { RouteDocument } from "./schema.ts";
import {
  type AccessDocument,
  FORWARDED_TO_AUTH,
  type RATE_KEYS,
  type RateLimitDocument,
} from "./schema-access.ts";

export interface NetworkAccess {
  /** CIDRs; null: everybody. */
  allow: string[] | null;
  deny: string[];
}

export interface CertificateAccess {
  /** One match in any of them is enough; all empty: any verified certificate. */
  subjects: string[];
  names: string[];
  /** Lower-case hexadecimal. */
  fingerprints: string[];
}

export interface ApiKeyAccess {
  header: string;
  keys: { name: string; sha256: string }[];
  forward: boolean;
}

export type PasswordHash = ({ kind: "scrypt" } & ScryptHash) | { kind: "sha256"; hex: string };

export interface BasicAccess {
  realm: string;
  users: { name: string; hash: PasswordHash }[];
  forward: boolean;
}

export interface JwtAccess {
  source: { kind: "jwks" | "keyFile" | "secretFile"; at: string };
  issuer: string;
  /** Null: not looked at. */
  audiences: string[] | null;
  algorithms: string[];
  header: string;
  claimsToHeaders: { claim: string; header: string }[];
  clockToleranceMs: number;
  forward: boolean;
}

export interface ForwardAuthAccess {
  url: string;
  timeoutMs: number;
  requestHeaders: string[];
  responseHeaders: string[];
  failOpen: boolean;
}

export interface Access extends NetworkAccess {
  clientCertificate: CertificateAccess | null;
  apiKeys: ApiKeyAccess | null;
  basic: BasicAccess | null;
  jwt: JwtAccess | null;
  forwardAuth: ForwardAuthAccess | null;
  consumerHeader: string | null;
}

export interface RateLimit {
  requests: number;
  perMs: number;
  burst: number;
  key: (typeof RATE_KEYS)[number];
  /** Only of key `header`. */
  header: string | null;
}

export interface RouteAccess {
  /** Null: everybody may. */
  access: Access | null;
  /** Null: as often as they like. */
  rateLimit: RateLimit | null;
}

export const DEFAULT_ALGORITHMS: readonly string[] = ["RS256", "ES256"];
export const DEFAULT_SECRET_ALGORITHMS: readonly string[] = ["HS256"];

export const resolveAccess = ({ access, rateLimit }: RouteDocument): RouteAccess => ({
  access: access ? resolved(access) : null,
  rateLimit: rateLimit ? resolveRateLimit(rateLimit) : null,
});

const resolved = (access: AccessDocument): Access => ({
  allow: access.allow ?? null,
  deny: access.deny ?? [],
  clientCertificate: access.clientCertificate ? resolveCertificate(access.clientCertificate) : null,
  apiKeys: access.apiKeys ? resolveApiKeys(access.apiKeys) : null,
  basic: access.basic ? resolveBasic(access.basic) : null,
  jwt: access.jwt ? resolveJwt(access.jwt) : null,
  forwardAuth: access.forwardAuth ? resolveForwardAuth(access.forwardAuth) : null,
  consumerHeader: access.consumerHeader?.toLowerCase() ?? null,
});

type Of<K extends keyof AccessDocument> = NonNullable<AccessDocument[K]>;

const resolveCertificate = ({
  subjects,
  names,
  fingerprints,
}: Of<"clientCertificate">): CertificateAccess => ({
  subjects: subjects ?? [],
  names: names ?? [],
  fingerprints: (fingerprints ?? []).map((text) => text.replaceAll(":", "").toLowerCase()),
});

const resolveApiKeys = ({ header, keys, forward }: Of<"apiKeys">): ApiKeyAccess => ({
  header: header?.toLowerCase() ?? "x-api-key",
  keys: keys.map(({ name, sha256 }) => ({ name, sha256: sha256.toLowerCase() })),
  forward: forward ?? false,
});

const resolveBasic = ({ realm, users, forward }: Of<"basic">): BasicAccess => ({
  realm: realm ?? "Restricted",
  users: users.map(({ name, hash }) => ({ name, hash: resolveHash(hash) })),
  forward: forward ?? false,
});

function resolveHash(hash: string): PasswordHash {
  const scrypt = parseScrypt(hash);
  if (typeof scrypt !== "string") return { kind: "scrypt", ...scrypt };
  return { kind: "sha256", hex: hash.slice("sha256:".length).toLowerCase() };
}

function resolveJwt(jwt: Of<"jwt">): JwtAccess {
  const { jwks, keyFile, secretFile, algorithms, header, claimsToHeaders } = jwt;
  const usual = secretFile === undefined ? DEFAULT_ALGORITHMS : DEFAULT_SECRET_ALGORITHMS;
  return {
    source: sourceOf(jwks, keyFile, secretFile),
    issuer: jwt.issuer,
    audiences: jwt.audiences.includes("*") ? null : jwt.audiences,
    algorithms: [...(algorithms ?? usual)],
    header: header?.toLowerCase() ?? "authorization",
    claimsToHeaders: Object.entries(claimsToHeaders ?? {}).map(([claim, name]) => ({
      claim,
      header: name.toLowerCase(),
    })),
    clockToleranceMs: jwt.clockToleranceMs ?? 5_000,
    forward: jwt.forward ?? true,
  };
}

function sourceOf(jwks?: string, keyFile?: string, secretFile?: string): JwtAccess["source"] {
  if (jwks !== undefined) return { kind: "jwks", at: jwks };
  if (keyFile !== undefined) return { kind: "keyFile", at: keyFile };
  return { kind: "secretFile", at: secretFile ?? "" };
}

const resolveForwardAuth = (auth: Of<"forwardAuth">): ForwardAuthAccess => ({
  url: new URL(auth.url).href,
  timeoutMs: auth.timeoutMs ?? 1_000,
  requestHeaders: (auth.requestHeaders ?? [...FORWARDED_TO_AUTH]).map((name) => name.toLowerCase()),
  responseHeaders: (auth.responseHeaders ?? []).map((name) => name.toLowerCase()),
  failOpen: auth.failOpen ?? false,
});

const resolveRateLimit = ({ requests, perMs, burst, key, header }: RateLimitDocument): RateLimit => ({
  requests,
  perMs: perMs ?? 1_000,
  burst: burst ?? requests,
  key: key ?? "client",
  header: header?.toLowerCase() ?? null,
});
