// The scheduler's admin API, as the command line uses it. Any scheduler answers for the whole cluster, so the next one
// is asked when one cannot be reached.
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import type { Problem } from "@evenkeel/core/config/validate.ts";
import type { DeadLetters } from "@evenkeel/core/wire/dead-letter.ts";
import type { Member } from "@evenkeel/core/wire/member.ts";
import type { ShownEvents } from "@evenkeel/core/wire/shown-event.ts";
import type { ShownPool } from "@evenkeel/core/wire/shown-pool.ts";

const REQUEST_TIMEOUT_MS = 10_000;

/** How long a registration lasts, and when to send it again. */
export interface Renewal {
  ttlMs: number;
  renewAfterMs: number;
}

/** What a backend says of itself. */
export interface RegistrationFacts {
  url: string;
  weight?: number;
  zone?: string;
  ttlMs?: number;
}

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
  /** Also to renew. */
  register(pool: string, id: string, facts: RegistrationFacts): Promise<Renewal>;
  deregister(pool: string, id: string): Promise<void>;
  /** @param query of `GET /v1/events` @param waitMs for something new */
  events(query: Readonly<Record<string, string>>, waitMs: number, signal?: AbortSignal): Promise<ShownEvents>;
  deadLetters(): Promise<DeadLetters>;
  /** Answers how many. @param id of a dead letter, or `all` */
  retryLetters(id: string): Promise<number>;
  removeLetters(id: string): Promise<number>;
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
const isRenewal: Shape<Renewal> = ({ ttlMs, renewAfterMs }) =>
  typeof ttlMs === "number" && typeof renewAfterMs === "number";
const isEvents: Shape<ShownEvents> = ({ events, cursor }) =>
  areAll(events, "id", "type") && typeof cursor === "string";
const isLetters: Shape<DeadLetters> = ({ letters }) => areAll(letters, "id", "event");
const isCount: Shape<{ count: number }> = ({ count }) => typeof count === "number";
const isAnything: Shape<unknown> = () => true;

/** Every method throws AdminApiError. */
export function createAdminApi(
  urls: readonly string[],
  token: string,
  timeoutMs: number = REQUEST_TIMEOUT_MS,
): AdminApi {
  /** The one that answered last is asked first, or every request would wait for one before it that hangs. */
  let first = 0;
  const ask = async <T>(
    shape: Shape<T>,
    method: string,
    path: string,
    body?: unknown,
    { waitMs = 0, signal }: { waitMs?: number; signal?: AbortSignal | undefined } = {},
  ): Promise<T> => {
    let unreachable = "";
    for (let i = 0; i < urls.length; i += 1) {
      const which = (first + i) % urls.length;
      const url = urls[which] as string;
      const deadline = AbortSignal.timeout(timeoutMs + waitMs);
      const until = signal ? AbortSignal.any([signal, deadline]) : deadline;
      const sent = send(new URL(path, url), method, token, until, body);
      const response = await sent.catch((error: Error) => {
        unreachable = `${url}: ${reasonOf(error)}`;
        return null;
      });
      if (!response) continue;
      first = which;
      return answerOf(response, shape, url);
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
    register: (pool, id, facts) => ask(isRenewal, "PUT", registrationPath(pool, id), facts),
    async deregister(pool, id) {
      await ask(isAnything, "DELETE", registrationPath(pool, id));
    },
    events: (query, waitMs, signal) =>
      ask(isEvents, "GET", `/v1/events?${new URLSearchParams(query)}`, undefined, { waitMs, signal }),
    deadLetters: () => ask(isLetters, "GET", DEAD_LETTERS),
    retryLetters: async (id) =>
      (await ask(isCount, "POST", `${DEAD_LETTERS}/${encodeURIComponent(id)}/retry`)).count,
    removeLetters: async (id) =>
      (await ask(isCount, "DELETE", `${DEAD_LETTERS}/${encodeURIComponent(id)}`)).count,
  };
}

const DEAD_LETTERS = "/v1/notifications/dead";

const registrationPath = (pool: string, id: string): string =>
  `/v1/pools/${encodeURIComponent(pool)}/registrations/${encodeURIComponent(id)}`;

function send(url: URL, method: string, token: string, until: AbortSignal, body: unknown): Promise<Response> {
  return fetch(url, {
    method,
    headers: {
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: until,
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
