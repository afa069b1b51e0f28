// How a password's hash is written: the PHC string format of scrypt, as passlib and others write it. The parameters are
// bounded, since every attempt to log in costs what they say.

export interface ScryptHash {
  /** N = 2^ln, in CPU and, times 128 r, in bytes of memory. */
  ln: number;
  r: number;
  p: number;
  /** Base64 without padding. */
  salt: string;
  hash: string;
}

/** Less is guessed too fast, more is a burden: 16 MiB to 128 MiB and 40 to 500 ms for each attempt. */
export const SCRYPT_LN = { min: 14, max: 17 } as const;
const SCRYPT_R = { min: 8, max: 8 } as const;
const SCRYPT_P = { min: 1, max: 5 } as const;
/** What `ln` and `p` may cost together: an attempt at ln=17, p=1. */
const SCRYPT_WORK_MAX = 2 ** SCRYPT_LN.max;
const SALT_BYTES_MIN = 8;
const HASH_BYTES_MIN = 16;
const HASH_BYTES_MAX = 64;

const FORM = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{1,86})\$([A-Za-z0-9+/]{1,86})$/;

/** The hash, or the sentence that says what is wrong. */
export function parseScrypt(text: string): ScryptHash | string {
  const [, ln, r, p, salt, hash] = FORM.exec(text) ?? [];
  if (salt === undefined || hash === undefined) {
    return "must be $scrypt$ln=15,r=8,p=1$<salt>$<hash>, both in base64 without padding, or sha256:<64 hexadecimal digits>";
  }
  const parsed = { ln: Number(ln), r: Number(r), p: Number(p), salt, hash };
  if (parsed.ln < SCRYPT_LN.min || parsed.ln > SCRYPT_LN.max)
    return `ln must be from ${SCRYPT_LN.min} to ${SCRYPT_LN.max}, got ${ln}`;
  if (parsed.r !== SCRYPT_R.min) return `r must be ${SCRYPT_R.min}, got ${r}`;
  if (parsed.p < SCRYPT_P.min || parsed.p > SCRYPT_P.max)
    return `p must be from ${SCRYPT_P.min} to ${SCRYPT_P.max}, got ${p}`;
  if (2 ** parsed.ln * parsed.p > SCRYPT_WORK_MAX)
    return `ln=${ln} with p=${p} costs too much; lower one of them`;
  if (bytesOf(salt) < SALT_BYTES_MIN) return `the salt must have at least ${SALT_BYTES_MIN} bytes`;
  const bytes = bytesOf(hash);
  if (bytes < HASH_BYTES_MIN || bytes > HASH_BYTES_MAX)
    return `the hash must have from ${HASH_BYTES_MIN} to ${HASH_BYTES_MAX} bytes`;
  return parsed;
}

const bytesOf = (base64: string): number => Math.floor((base64.length * 3) / 4);

export const formatScrypt = ({ ln, r, p, salt, hash }: ScryptHash): string =>
  `$scrypt$ln=${ln},r=${r},p=${p}$${salt}$${hash}`;
