// The certificates of one listener as they lie in files: read, checked that each fits its key, and made ready for
// handshakes. Nothing here keeps state; tls-contexts.ts decides when to read again.
import { constants, createPrivateKey, X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { isIP } from "node:net";
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";
import type { ListenerTls } from "@evenkeel/core/config/resolve-listeners.ts";

/** Bytes of one file; a chain of certificates is some KiB. */
const MAX_FILE_BYTES = 1024 * 1024;

/**
 * A new handshake within a connection costs a server far more than a client. TLSSocket.disableRenegotiation() only
 * tells of one and lets it happen.
 */
const NO_RENEGOTIATION = constants.SSL_OP_NO_RENEGOTIATION;

/** What is wrong with which file, and what to do. */
export class TlsError extends Error {
  override name = "TlsError";
}

export interface Certificate {
  /** DNS names and addresses it is made for, in lower case. */
  names: string[];
  /** ms since 1970 */
  notAfterMs: number;
}

export interface LoadedTls {
  /** As configured: the first is the default. */
  certificates: Certificate[];
  /** Of the default. */
  options: SecureContextOptions;
  /** For a server name in lower case; undefined: the default. */
  contextFor(servername: string): SecureContext | undefined;
}

export const stateOfFiles = (tls: ListenerTls): Promise<string> => stateOfPaths(filesOf(tls));

/** Changes when one of the files does, or what a link leads to. Files that cannot be read are part of it. */
export async function stateOfPaths(paths: readonly string[]): Promise<string> {
  const states = paths.map(async (path) => {
    try {
      const { mtimeMs, size, ino } = await stat(path);
      return `${mtimeMs} ${size} ${ino}`;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
  });
  return (await Promise.all(states)).join("|");
}

const filesOf = ({ certificates, clientCa }: ListenerTls): string[] => [
  ...certificates.flatMap(({ cert, key }) => [cert, key]),
  ...(clientCa === null ? [] : [clientCa]),
];

/** Rejects with a TlsError. */
export async function loadTls(tls: ListenerTls): Promise<LoadedTls> {
  const ca = tls.clientCa === null ? undefined : await readAuthority(tls.clientCa);
  const loaded = await Promise.all(
    tls.certificates.map(async (files) => {
      const [cert, key] = await Promise.all([read(files.cert), read(files.key)]);
      const certificate = checkedPair(files, cert, key);
      const options: SecureContextOptions = {
        ...{ cert, key, ca, minVersion: `TLSv${tls.minVersion}` },
        secureOptions: NO_RENEGOTIATION,
      };
      return { certificate, options, context: contextOf(files.cert, options) };
    }),
  );
  const exact = new Map<string, SecureContext>();
  const wildcards = new Map<string, SecureContext>();
  for (const { certificate, context } of loaded) {
    for (const name of certificate.names) {
      const [map, key] = name.startsWith("*.") ? [wildcards, name.slice(1)] : [exact, name];
      if (!map.has(key)) map.set(key, context);
    }
  }
  return {
    certificates: loaded.map(({ certificate }) => certificate),
    options: loaded[0]?.options ?? {},
    contextFor: (name) => exact.get(name) ?? wildcards.get(name.slice(Math.max(0, name.indexOf(".")))),
  };
}

async function read(path: string): Promise<Buffer> {
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) throw new TlsError(`file ${path} is larger than ${MAX_FILE_BYTES} bytes`);
    return await readFile(path);
  } catch (error) {
    if (error instanceof TlsError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const why: Record<string, string> = {
      ENOENT: "does not exist. Put it there, or change its path",
      EACCES: "may not be read by this process. Change its owner or mode",
      EISDIR: "is a directory",
    };
    throw new TlsError(`file ${path} ${why[code ?? ""] ?? `cannot be read: ${message}`}`);
  }
}

async function readAuthority(path: string): Promise<Buffer> {
  const pem = await read(path);
  attempt(`file ${path} holds no certificate in PEM form`, () => new X509Certificate(pem));
  return pem;
}

function checkedPair(files: { cert: string; key: string }, cert: Buffer, key: Buffer): Certificate {
  const x509 = attempt(
    `file ${files.cert} holds no certificate in PEM form`,
    () => new X509Certificate(cert),
  );
  const secret = attempt(`file ${files.key} holds no private key in PEM form without a passphrase`, () =>
    createPrivateKey(key),
  );
  if (!x509.checkPrivateKey(secret)) {
    throw new TlsError(`the key in ${files.key} is not the one of the certificate in ${files.cert}`);
  }
  return { names: namesOf(x509), notAfterMs: Date.parse(x509.validTo) };
}

const contextOf = (path: string, options: SecureContextOptions): SecureContext =>
  attempt(`the certificate in ${path} cannot be used`, () => createSecureContext(options));

function attempt<T>(what: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new TlsError(`${what} (${(error as Error).message})`, { cause: error });
  }
}

/** The common name counts only where there are no others (RFC 6125, 6.4.4). */
function namesOf({ subjectAltName, subject }: X509Certificate): string[] {
  const names = (subjectAltName ?? "").split(", ").flatMap((entry) => {
    const [, kind, name = ""] = /^(DNS|IP Address):(.+)$/.exec(entry) ?? [];
    return kind === undefined || (kind !== "DNS" && isIP(name) === 0) ? [] : [name.toLowerCase()];
  });
  if (names.length > 0) return names;
  const [, common] = /^CN=(.+)$/m.exec(subject) ?? [];
  return common === undefined ? [] : [common.toLowerCase()];
}
