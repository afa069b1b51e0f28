// The scheduler's admin API, as the command line uses it. Any scheduler answers for the whole cluster, so the next one
// is asked when one cannot be reached.
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import type { Problem } from "@evenkeel/core/config/validate.ts";
import type { PoolState } from "@evenkeel/core/ledger/ledger.ts";
import type { Member } from "@evenkeel/core/wire/member.ts";

const REQUEST_TIMEOUT_MS = 10_000;

export type ModeAction = "drain" | "activate" | "disable";

export interface AdminApi {
  pools(): Promise<PoolState[]>;
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

/** Every method throws AdminApiError. */
export function createAdminApi(urls: readonly string[], token: string): AdminApi {
  const ask = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    let unreachable = "";
    for (const url of urls) {
      const response = await send(new URL(path, url), method, token, body).catch((error: Error) => {
        unreachable = `${url}: ${reasonOf(error)}`;
        return null;
      });
      if (response) return answerOf(response);
    }
    throw new AdminApiError(0, `no scheduler can be reached (${unreachable})`);
  };
  return {
    pools: async () => ((await ask("GET", "/v1/pools")) as { pools: PoolState[] }).pools,
    members: async () => ((await ask("GET", "/v1/members")) as { members: Member[] }).members,
    async config() {
      try {
        return ((await ask("GET", "/v1/config")) as { document: ConfigDocument }).document;
      } catch (error) {
        if (error instanceof AdminApiError && error.status === 404) return null;
        throw error;
      }
    },
    apply: async (document) => ((await ask("PUT", "/v1/config", document)) as { version: number }).version,
    async setMode(pool, backend, action) {
      const [p, b] = [encodeURIComponent(pool), encodeURIComponent(backend)];
      await ask("POST", `/v1/pools/${p}/backends/${b}/${action}`);
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

async function answerOf(response: Response): Promise<unknown> {
  const text = await response.text();
  if (response.ok) return text === "" ? null : JSON.parse(text);
  const { error, problems } = refusal(text);
  throw new AdminApiError(response.status, error ?? `status ${response.status}`, problems);
}

function refusal(text: string): { error?: string; problems?: Problem[] } {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** fetch says only "fetch failed"; the cause says why. */
const reasonOf = (error: Error): string => {
  const cause = error.cause as (Error & { code?: string }) | undefined;
  return cause?.code ?? cause?.message ?? error.message;
};
