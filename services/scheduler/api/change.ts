// Changes of the configuration. Each makes a whole new document from the applied one, judged by the same rules as
// `evenkeel check`, and replaces exactly the version it was made from: nothing is half applied, nothing overwritten
// unseen. What was found at run time is no part of it: backends come and go without disturbing anyone's change.
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { validateConfig } from "@evenkeel/core/config/validate.ts";
import type { ConfigStore } from "@evenkeel/ledger/config-store.ts";
import type { StoredConfig } from "@evenkeel/runtime/config-watch.ts";
import { SchedulerError, viaRedis } from "../errors.ts";

/** Tries before a change gives up against others made at the same time. */
const ATTEMPTS_MAX = 8;

export interface Changed {
  /** Of the document. */
  version: number;
}

/** What a request asks to make of the applied document; judged afterwards, so it may answer anything. */
export type Edit = (document: ConfigDocument) => unknown;

export interface ChangeConfig {
  /** @throws SchedulerError `no_config` or `redis_unavailable` */
  read(): Promise<StoredConfig>;
  /**
   * @param ifMatch the If-Match header: only this version may be changed
   * @throws SchedulerError whatever `edit` throws, `no_config`, `invalid_config`, `version_mismatch`, `conflict`
   */
  edit(ifMatch: string | undefined, edit: Edit): Promise<Changed>;
  /** As `edit`, with a document that needs no other before it. */
  replace(ifMatch: string | undefined, document: unknown): Promise<Changed>;
}

export interface ChangeOptions {
  configs: ConfigStore;
  reconcile: () => Promise<void>;
}

export function createChangeConfig({ configs, reconcile }: ChangeOptions): ChangeConfig {
  /** Failing takes nothing back: what is applied is reconciled within a second. */
  const tryToReconcile = () => reconcile().catch(() => {});

  const attempt = async (
    expected: number | null,
    make: (applied: StoredConfig | null) => unknown,
  ): Promise<Changed | null> => {
    const applied = await viaRedis(configs.read());
    const version = applied?.documentVersion ?? 0;
    if (expected !== null && expected !== version) {
      throw new SchedulerError("version_mismatch", `version ${version} is applied, not ${expected}`);
    }
    const judged = validateConfig(make(applied));
    if (!judged.ok) {
      const message = "nothing is applied: the configuration would be faulty";
      throw new SchedulerError("invalid_config", message, { problems: judged.problems });
    }
    const result = await viaRedis(configs.apply(judged.document, version));
    return result.ok ? { version: result.version } : null;
  };

  const commit = async (
    ifMatch: string | undefined,
    make: (applied: StoredConfig | null) => unknown,
  ): Promise<Changed> => {
    const expected = expectedVersion(ifMatch);
    // Puts back first what Redis may have lost, so that the change is made from it.
    await tryToReconcile();
    for (let i = 0; i < ATTEMPTS_MAX; i += 1) {
      const changed = await attempt(expected, make);
      if (!changed) continue;
      await tryToReconcile();
      return changed;
    }
    throw new SchedulerError("conflict", `the configuration changed ${ATTEMPTS_MAX} times meanwhile`);
  };

  return {
    read: async () => existing(await viaRedis(configs.read())),
    edit: (ifMatch, edit) => commit(ifMatch, (applied) => edit(existing(applied).written)),
    replace: (ifMatch, document) => commit(ifMatch, () => document),
  };
}

function existing(applied: StoredConfig | null): StoredConfig {
  if (applied) return applied;
  throw new SchedulerError("no_config", "no configuration is applied; PUT one to /v1/config first");
}

function expectedVersion(ifMatch: string | undefined): number | null {
  if (ifMatch === undefined) return null;
  const digits = /^"?([0-9]{1,15})"?$/.exec(ifMatch)?.[1];
  if (digits !== undefined) return Number(digits);
  throw new SchedulerError(
    "invalid_request",
    `If-Match must be the version of a configuration, got ${ifMatch}`,
  );
}
