// The TLS files of one pool: what is in force of them, and looks at whether they have changed. What cannot be used never
// takes the place of what can.
import type { BackendTls } from "@evenkeel/core/config/resolve-resilience.ts";
import { stateOfPaths } from "../listeners/certificates.ts";
import { readTlsMaterial, TlsFileError, type TlsMaterial, tlsFilesOf } from "./backend-tls.ts";

/** Told of what becomes of the TLS files of pools, for metrics and the log. */
export interface TlsFilesWatcher {
  /** With every reading. @param stale they cannot be used as they are; null: the pool has none any more */
  onTlsState(pool: string, stale: boolean | null): void;
  /** Changed files were read again, between configurations. @param error why not; null: new connections use them */
  onTlsReload(pool: string, error: string | null): void;
}

/** State of files that were not looked at: the first look reads them again. */
const NOT_LOOKED_AT = "";

export class TlsFiles {
  /** In force. Null: there are none that can be used. */
  material: TlsMaterial | null;
  /** Why the files as they are cannot be used; null: they can. */
  error: string | null = null;
  readonly #pool: string;
  readonly #tls: BackendTls;
  readonly #paths: string[];
  readonly #watcher: TlsFilesWatcher;
  #state = NOT_LOOKED_AT;

  /** Reads them at once. @param before stays in force when they cannot be used */
  constructor(pool: string, tls: BackendTls, before: TlsMaterial | null, watcher: TlsFilesWatcher) {
    this.#pool = pool;
    this.#tls = tls;
    this.#paths = tlsFilesOf(tls);
    this.#watcher = watcher;
    this.material = before;
    this.#read();
  }

  /**
   * Never rejects. Files that could not be used are tried again with every look.
   * @param wanted asked after a wait: whether this is still of use
   * @returns whether something else is in force now
   */
  async look(wanted: () => boolean): Promise<boolean> {
    if (this.#paths.length === 0) return false;
    const state = await stateOfPaths(this.#paths);
    if (!wanted() || (state === this.#state && this.error === null)) return false;
    this.#state = state;
    const { material, error } = this;
    this.#read();
    const changed = this.material?.digest !== material?.digest;
    if (this.error !== error || changed) this.#watcher.onTlsReload(this.#pool, this.error);
    return changed;
  }

  #read(): void {
    try {
      const read = readTlsMaterial(this.#tls);
      if (read.digest !== this.material?.digest) this.material = read;
      this.error = null;
    } catch (error) {
      // Others are of OpenSSL, for instance of a key too short to be trusted.
      const reason = error instanceof TlsFileError ? error.message : `tls: ${(error as Error).message}`;
      const instead = this.material === null ? "it cannot be connected to" : "what it had stays in force";
      this.error = `pool "${this.#pool}": ${reason}; ${instead}`;
    }
    this.#watcher.onTlsState(this.#pool, this.error !== null);
  }
}
