// How often a route may be used, by whom the configuration says: 429 past it, with the RateLimit fields of
// draft-ietf-httpapi-ratelimit-headers-11.
import { hash } from "node:crypto";
import type { RateLimit } from "@evenkeel/core/config/resolve-access.ts";
import { limitOf } from "@evenkeel/core/limits/gcra.ts";
import { parseAddress } from "@evenkeel/core/network/networks.ts";
import { fieldOf } from "../messages/fields.ts";
import type { Refusal } from "./access.ts";
import type { Limiter, LimitVerdict } from "./limiter.ts";
import { LATER, type Row, type Turn } from "./turn.ts";

const US_PER_S = 1_000_000;
/** 128 bits of a digest in base64url: enough that two never meet, and Redis holds no addresses and no values. */
const DIGEST_CHARACTERS = 22;

export function compileRateLimit(route: string, config: RateLimit, prefix: string, limiter: Limiter): Row {
  const { requests, perMs, key, header } = config;
  const limit = limitOf(config);
  const start = `${prefix}:limit:${route}:${key}:`;
  const seconds = perMs % 1_000 === 0 ? `;w=${perMs / 1_000}` : "";
  const policy = `"${key}";q=${requests}${seconds}`;

  const verdictOf = (turn: Turn, verdict: LimitVerdict): Refusal | null => {
    if (verdict === null) return null;
    const { allowed, remaining, waitUs } = verdict;
    const left = `"${key}";r=${remaining};t=${Math.ceil(waitUs / US_PER_S)}`;
    if (!allowed) return refusal(policy, left, Math.max(1, Math.ceil(waitUs / US_PER_S)));
    turn.answerField("RateLimit-Policy", policy);
    turn.answerField("RateLimit", left);
    return null;
  };

  return {
    name: key === "consumer" ? "rate-limit-consumer" : "rate-limit",
    check(turn) {
      const value = key === "route" ? "" : digestOf(countedBy(turn, key, header));
      const verdict = limiter.take(start + value, limit, (later) => turn.resume(verdictOf(turn, later)));
      return verdict === undefined ? LATER : verdictOf(turn, verdict);
    },
  };
}

function refusal(policy: string, left: string, retrySeconds: number): Refusal {
  const fields = ["Retry-After", "retry-after", String(retrySeconds)];
  fields.push("RateLimit-Policy", "ratelimit-policy", policy, "RateLimit", "ratelimit", left);
  return { status: 429, text: `Too many requests; try again in ${retrySeconds} s`, body: null, fields };
}

const digestOf = (text: string): string => hash("sha256", text, "base64url").slice(0, DIGEST_CHARACTERS);

function countedBy({ request, consumer }: Turn, key: RateLimit["key"], header: string | null): string {
  if (key === "consumer" && consumer !== null) return `${consumer.kind} ${consumer.name}`;
  const value = key === "header" && header !== null ? fieldOf(request.head.fields, header) : undefined;
  return value === undefined ? `client ${networkOf(request.client)}` : `value ${value}`;
}

/** One host of IPv6 has all addresses of its /64, so they count together. */
function networkOf(client: string): string {
  if (!client.includes(":")) return client;
  const address = parseAddress(client);
  return typeof address === "bigint" ? `${(address >> 64n).toString(16)}::/64` : String(address ?? client);
}
