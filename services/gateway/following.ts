// Keeps the gateway on the newest configuration: this process first, then its workers.
import type { Config } from "@evenkeel/core/config/resolve.ts";
import { type AppliedConfig, watchConfig } from "@evenkeel/runtime/config-watch.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Serving } from "./serving.ts";
import type { Workers } from "./workers/workers.ts";

/** How late workers may be for the gateway to say that it has started; whether they are ready stays to be seen. */
const WORKERS_START_TIMEOUT_MS = 10_000;

export interface FollowingOptions {
  serving: Serving;
  workers: Workers;
  prefix: string;
  log: Log;
}

export interface Following {
  /** Settles when the first configuration is in use; rejects when a listener of it cannot be opened. */
  started: Promise<void>;
  close(): void;
}

export function followConfig({ serving, workers, prefix, log }: FollowingOptions): Following {
  const started = Promise.withResolvers<void>();
  let last: Promise<void> = Promise.resolve();

  const use = async ({ version, document }: AppliedConfig): Promise<Config> => {
    const { config, errors } = await serving.configure(document);
    log.info({ version, listeners: serving.listeners() }, "configuration applied");
    for (const error of errors) log.error({ reason: error.message }, "listener not as configured");
    if (errors[0]) started.reject(errors[0]);
    return config;
  };
  const apply = async (applied: AppliedConfig) => {
    try {
      await workers.apply(applied.version, applied.document, () => use(applied));
      void workers.started(WORKERS_START_TIMEOUT_MS).then(started.resolve);
    } catch (error) {
      log.error({ err: error }, "configuration not applied");
    }
  };

  const config = watchConfig(serving.redis, prefix, log, (applied) => {
    last = last.then(() => apply(applied));
  });
  serving.followEvents(config.refresh);
  return { started: started.promise, close: config.close };
}
