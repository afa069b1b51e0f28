// TLS to the backends of a pool: what its files hold, read and judged. Nothing here keeps state; origins.ts decides when
// to read.
import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { createSecureContext, type SecureContext, type SecureVersion } from "node:tls";
import type { BackendTls } from "@evenkeel/core/config/resolve-resilience.ts";

export interface TlsMaterial {
  context: SecureContext;
  /** Null: the host of the url. */
  servername: string | null;
  verify: boolean;
  /** The same for the same settings and the same content of files. */
  digest: string;
}

/** Bytes of one file. All authorities that an operating system brings are some 250 KiB. */
export const MAX_FILE_BYTES = 1024 * 1024;

/** A fault of one file, in a sentence that begins with the setting. */
export class TlsFileError extends Error {}

const SECURE_VERSION: Readonly<Record<BackendTls["minVersion"], SecureVersion>> = {
  "1.2": "TLSv1.2",
  "1.3": "TLSv1.3",
};

/** Those that are read. */
export const tlsFilesOf = ({ ca, cert, key }: BackendTls): string[] =>
  [ca, cert, key].filter((path) => path !== null);

/** Reads while everything else waits: at most three small files, and only when they are new. @throws TlsFileError */
export function readTlsMaterial(tls: BackendTls): TlsMaterial {
  const ca = read("tls.ca", tls.ca);
  const cert = read("tls.cert", tls.cert);
  const key = read("tls.key", tls.key);
  checkAuthorities(tls.ca, ca);
  checkPair(tls, cert, key);
  const minVersion = SECURE_VERSION[tls.minVersion];
  const context = createSecureContext({
    minVersion,
    ...(ca !== null && { ca }),
    ...(cert !== null && key !== null && { cert, key }),
  });
  const { servername, verify } = tls;
  const settings = JSON.stringify([ca, cert, key, servername, verify, minVersion]);
  return { context, servername, verify, digest: createHash("sha256").update(settings).digest("hex") };
}

function read(setting: string, path: string | null): string | null {
  if (path === null) return null;
  try {
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK); // a pipe would be waited for
    try {
      return readBounded(file, setting, path);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (error instanceof TlsFileError) throw error;
    throw new TlsFileError(`${setting}: ${path} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}

function readBounded(file: number, setting: string, path: string): string {
  const stats = fstatSync(file);
  if (!stats.isFile()) throw new TlsFileError(`${setting}: ${path} is not a file`);
  if (stats.size > MAX_FILE_BYTES) {
    throw new TlsFileError(`${setting}: ${path} is larger than ${MAX_FILE_BYTES} bytes`);
  }
  return readFileSync(file, "latin1");
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** OpenSSL passes over what it cannot read, and then nothing is verified against it. */
function checkAuthorities(path: string | null, pem: string | null): void {
  if (pem === null) return;
  const found = pem.match(CERTIFICATE) ?? [];
  if (found.length === 0) throw new TlsFileError(`tls.ca: ${path} holds no certificate in PEM form`);
  for (const [i, one] of found.entries()) {
    attempt(`tls.ca: certificate ${i + 1} of ${path} cannot be understood`, () => new X509Certificate(one));
  }
}

function checkPair(tls: BackendTls, cert: string | null, key: string | null): void {
  if (cert === null || key === null) return;
  const own = attempt(
    `tls.cert: ${tls.cert} holds no certificate in PEM form`,
    () => new X509Certificate(cert),
  );
  const secret = attempt(`tls.key: ${tls.key} holds no private key in PEM form that can be read`, () =>
    createPrivateKey(key),
  );
  if (!own.checkPrivateKey(secret)) {
    throw new TlsFileError(`tls.key: ${tls.key} does not belong to the certificate in ${tls.cert}`);
  }
}

function attempt<T>(fault: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new TlsFileError(`${fault}: ${(error as Error).message}`);
  }
}
