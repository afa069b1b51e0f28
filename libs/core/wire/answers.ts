// What a scheduler answers, checked before a gateway goes by it: only the shape, and only what the gateway reads, since
// an answer may carry 10 000 backends and comes with every batch of requests.
import { BACKEND_SCHEMES } from "../config/backend-url.ts";
import type { Refusal } from "./frames.ts";
import type { SettleResponse } from "./settle.ts";

/** What a gateway connects to, by any scheme a backend may have; that it can be parsed is left to `URL`. */
const ORIGIN = new RegExp(String.raw`^(?:${BACKEND_SCHEMES.join("|")})://[^\s/?#@\\]+$`);

type Fields = Record<string, unknown>;

/** @param wants how many were asked for; null for what is no answer to them */
export function readAnswer(text: string, wants: number): SettleResponse | null {
  const answer = readObject(text);
  return answer !== null && isAnswer(answer, wants) ? (answer as unknown as SettleResponse) : null;
}

/** Null for what is none. */
export function readRefusal(text: string): Refusal | null {
  const refusal = readObject(text);
  if (refusal === null || !Number.isSafeInteger(refusal.status)) return null;
  return isText(refusal.code) && isText(refusal.error) ? (refusal as unknown as Refusal) : null;
}

function readObject(text: string): Fields | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

const isAnswer = ({ status, resync, picks, version, pool }: Fields, wants: number): boolean =>
  (status === "applied" || status === "stale") &&
  typeof resync === "boolean" &&
  Array.isArray(picks) &&
  picks.length === wants &&
  picks.every((pick) => pick === null || isText(pick)) &&
  Number.isSafeInteger(version) &&
  (pool === undefined || isPool(pool));

const isPool = (pool: unknown): boolean =>
  isObject(pool) &&
  Number.isSafeInteger(pool.version) &&
  Array.isArray(pool.backends) &&
  pool.backends.every(isBackend);

const isBackend = (backend: unknown): boolean =>
  isObject(backend) &&
  isText(backend.id) &&
  isText(backend.url) &&
  ORIGIN.test(backend.url) &&
  URL.canParse(backend.url) &&
  [backend.weight, backend.priority, backend.inflight, backend.effectiveWeight].every(Number.isFinite) &&
  isText(backend.health) &&
  isText(backend.mode) &&
  Number.isFinite(backend.sinceMs) &&
  isWish(backend.agent) &&
  (backend.zone === null || isText(backend.zone)) &&
  (backend.maxInflight === null || Number.isFinite(backend.maxInflight));

/** A scheduler of an earlier release says nothing of it. */
const isWish = (agent: unknown): boolean =>
  agent === undefined ||
  agent === null ||
  (isObject(agent) && Number.isFinite(agent.weightPercent) && typeof agent.drain === "boolean");

const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null;

const isText = (value: unknown): value is string => typeof value === "string";
