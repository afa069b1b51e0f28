// The scheduler's admin API, as the command line uses it. Any scheduler answers for the whole cluster, so the next one
// is asked when one cannot be reached.
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import type { Problem } from "@evenkeel/core/config/validate.ts";
import type { Member } from "@evenkeel/core/wire/member.ts";
import type { ShownPool } from "@evenkeel/core/wire/shown-pool.ts";

const REQUEST_TIMEOUT_MS = 10_000;

export type ModeAction = "drain" | "activate" | "disable";

export interface AdminApi {
  pools(): Promise<ShownPool[]>;
  pool(name: string): Promise<ShownPool>;
  members(): Promise<Member[]>;
  /** Null when none is applied. */
  config(): Promise<ConfigDocument | null>;
  /** Answers the version it now has. */
  apply(document: ConfigDocument): Promise<number>;
  setMode(pool: string, backend: string, action: ModeAction): Promise<void>;
}

/** What the API refused, or that no scheduler could be reached. */
export class AdminApiError extends Error {
  override name = "AdminApiError";
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  readonly problems: readonly Problem[];

  constructor(status: number, message: string, problems: readonly Problem[] = []) {
    super(message);
    this.status = status;
    this.problems = problems;
  }
}

/** What one kind of answer looks like: enough of it to tell a scheduler from anything else that answers at an address. */
type Shape<T> = (answer: Partial<T>) => boolean;

const areAll = (list: unknown, ...keys: string[]): boolean =>
  Array.isArray(list) && list.every((item) => keys.every((key) => (item as never)?.[key] !== undefined));

const POOL_KEYS = ["pool", "policy", "backends"] as const;
const isPools: Shape<{ pools: ShownPool[] }> = ({ pools }) => areAll(pools, ...POOL_KEYS);
const isPool: Shape<ShownPool> = (pool) => areAll([pool], ...POOL_KEYS);
const isMembers: Shape<{ members: Member[] }> = ({ members }) => areAll(members, "role", "id", "adminUrl");
const isConfig: Shape<{ document: ConfigDocument }> = ({ document }) => typeof document === "object";
const isVersion: Shape<{ version: number }> = ({ version }) => typeof version === "number";
const isAnything: Shape<unknown> = () => true;

/** Every method throws AdminApiError. */
export function createAdminApi(urls: readonly string[], token: string): AdminApi {
  const ask = async <T>(shape: Shape<T>, method: string, path: string, body?: unknown): Promise<T> => {
    let unreachable = "";
    for (const url of urls) {
      const response = await send(new URL(path, url), method, token, body).catch((error: Error) => {
        unreachable = `${url}: ${reasonOf(error)}`;
        return null;
      });
      if (response) return answerOf(response, shape, url);
    }
    throw new AdminApiError(0, `no scheduler can be reached (${unreachable})`);
  };
  return {
    pools: async () => (await ask(isPools, "GET", "/v1/pools")).pools,
    pool: (name) => ask(isPool, "GET", `/v1/pools/${encodeURIComponent(name)}`),
    members: async () => (await ask(isMembers, "GET", "/v1/members")).members,
    async config() {
      try {
        return (await ask(isConfig, "GET", "/v1/config")).document;
      } catch (error) {
        if (error instanceof AdminApiError && error.status === 404) return null;
        throw error;
      }
    },
    apply: async (document) => (await ask(isVersion, "PUT", "/v1/config", document)).version,
    async setMode(pool, backend, action) {
      const [p, b] = [encodeURIComponent(pool), encodeURIComponent(backend)];
      await ask(isAnything, "POST", `/v1/pools/${p}/backends/${b}/${action}`);
    },
  };
}

function send(url: URL, method: string, token: string, body: unknown): Promise<Response> {
  return fetch(url, {
    method,
    headers: {
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  });
}

async function answerOf<T>(response: Response, shape: Shape<T>, url: string): Promise<T> {
  const { status } = response;
  const answer = parsed(await response.text());
  if (response.ok && answer !== null && shape(answer as Partial<T>)) return answer as T;
  const { error, problems } = (answer ?? {}) as { error?: unknown; problems?: Problem[] };
  const says = response.ok || typeof error !== "string" ? null : error;
  if (says === null && status < 500) throw new AdminApiError(status, `${url} is not an Evenkeel scheduler`);
  throw new AdminApiError(status, says ?? `${url} answers with status ${status}`, problems);
}

/** Null when it is no JSON object. An empty text counts as an empty one. */
function parsed(text: string): object | null {
  try {
    const value = JSON.parse(text === "" ? "{}" : text);
    return typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}

/** fetch says only "fetch failed"; the cause says why. */
const reasonOf = (error: Error): string => {
  const cause = error.cause as (Error & { code?: string }) | undefined;
  return cause?.code ?? cause?.message ?? error.message;
};
