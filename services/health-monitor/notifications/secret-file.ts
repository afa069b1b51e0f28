// Secrets that sign, from their files: read again when a file changed, so that a secret can be replaced while the monitor
// runs.
import { readFile, stat } from "node:fs/promises";
import { secretKey } from "./message.ts";

const BYTES_MAX = 4_096;

export interface SecretFiles {
  /** @throws an error without anything of the secret */
  key(path: string): Promise<Buffer>;
  /** Forgets the others. */
  keep(paths: ReadonlySet<string>): void;
}

export function createSecretFiles(): SecretFiles {
  const known = new Map<string, { mark: string; key: Buffer }>();
  return {
    async key(path) {
      try {
        const { size, mtimeMs, ino } = await stat(path);
        const mark = `${ino} ${mtimeMs} ${size}`;
        const held = known.get(path);
        if (held?.mark === mark) return held.key;
        if (size > BYTES_MAX) throw new Error(`has more than ${BYTES_MAX} bytes`);
        const key = secretKey(await readFile(path, "utf8"));
        known.set(path, { mark, key });
        return key;
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        throw new Error(`secretFile ${path}: ${code ?? message}`);
      }
    },
    keep(paths) {
      for (const path of known.keys()) if (!paths.has(path)) known.delete(path);
    },
  };
}
