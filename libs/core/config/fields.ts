// What the parts of the schema share: the alphabets of names, the bounds, the forms of fields.
import Type from "typebox";

/** Names end up in Redis keys, metric labels and URLs, so they keep to one small alphabet. */
export const NAME_PATTERN = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$";
export const METRIC_PATTERN = "^[A-Za-z][A-Za-z0-9_.-]{0,62}$";
/** What names a header or a cookie (RFC 9110 `token`). */
export const TOKEN_PATTERN = "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$";

/** One status, or from – to. */
export const STATUS_RANGE_PATTERN = "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$";

/** What a value must be, in words, for whoever wrote one that does not match. */
export const PATTERN_WORDS: Readonly<Record<string, string>> = {
  [NAME_PATTERN]: 'must be 1 to 63 letters, digits, ".", "_" or "-", the first a letter or digit',
  [METRIC_PATTERN]: 'must be 1 to 63 letters, digits, ".", "_" or "-", the first a letter',
  [TOKEN_PATTERN]: "must be 1 to 64 letters, digits or characters of !#$%&'*+.^_`|~-",
  [STATUS_RANGE_PATTERN]: 'must be a status such as "503", or a range such as "500-599"',
  "^/": 'must start with "/"',
};

/** Named bounds of a configuration: past these, loading it is refused rather than slow. */
export const LIMITS = {
  listeners: 64,
  routes: 10_000,
  pools: 1_000,
  backendsPerPool: 10_000,
  weight: 1_000,
  timeoutMs: 3_600_000,
  zones: 64,
  clientNetworks: 100_000,
  criteria: 16,
  reportedMetrics: 16,
  priority: 9,
  retries: 10,
  workers: 64,
} as const;

export const closed = { additionalProperties: false } as const;

export const Name = (description: string) => Type.String({ pattern: NAME_PATTERN, description });

export const StatusRange = Type.String({ pattern: STATUS_RANGE_PATTERN });

export const Ms = (description: string, value: number, minimum = 1) =>
  Type.Optional(Type.Integer({ minimum, maximum: LIMITS.timeoutMs, default: value, description }));
