// Every way in which the scheduler refuses, as data: a code that never changes its meaning, and its HTTP status.

const STATUS = {
  invalid_request: 400,
  invalid_config: 400,
  registration_not_allowed: 403,
  forbidden_address: 403,
  unknown_pool: 404,
  unknown_backend: 404,
  unknown_route: 404,
  unknown_letter: 404,
  unknown_registration: 404,
  no_config: 404,
  conflict: 409,
  already_taken: 409,
  version_mismatch: 412,
  upgrade_required: 426,
  pool_full: 429,
  overloaded: 503,
  redis_unavailable: 503,
} as const;

export type ErrorCode = keyof typeof STATUS;

export interface ConfigProblem {
  path: string;
  message: string;
}

interface Details {
  cause?: unknown;
  problems?: readonly ConfigProblem[];
  at?: string;
}

export class SchedulerError extends Error {
  override name = "SchedulerError";
  readonly code: ErrorCode;
  readonly status: number;
  /** `invalid_config` only. */
  readonly problems: readonly ConfigProblem[] | undefined;
  /** JSON pointer into the request, where one place is at fault. */
  readonly at: string | undefined;

  constructor(code: ErrorCode, message: string, { cause, problems, at }: Details = {}) {
    super(message, { cause });
    this.code = code;
    this.status = STATUS[code];
    this.problems = problems;
    this.at = at;
  }
}

export const unknownPool = (pool: string) => new SchedulerError("unknown_pool", `there is no pool "${pool}"`);

/** What Redis did not answer is refused as such; a refusal of our own passes unchanged. */
export function redisUnavailable(cause: unknown): SchedulerError {
  if (cause instanceof SchedulerError) return cause;
  return new SchedulerError("redis_unavailable", `redis: ${(cause as Error).message}`, { cause });
}

/** The answer of Redis, or `redis_unavailable`. */
export const viaRedis = <T>(answer: Promise<T>): Promise<T> =>
  answer.catch((error) => {
    throw redisUnavailable(error);
  });
