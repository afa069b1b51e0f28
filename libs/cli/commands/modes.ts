// `evenkeel drain | activate | disable POOL BACKEND`: what an operator wishes of one backend.
import type { ModeAction } from "../admin-api.ts";
import { type Command, type Flag, wholeNumber } from "../command.ts";
import { findCluster, URL_FLAG } from "../find-cluster.ts";
import { waitUntilDrained } from "./drained.ts";

const WAIT_SECONDS = 60;
const WAIT_SECONDS_MAX = 24 * 3_600;

const WAIT_FLAG: Flag = {
  type: "string",
  value: "SECONDS",
  usual: WAIT_SECONDS,
  help: `come back when nothing is in flight any more; exit code 1 after SECONDS (${WAIT_SECONDS})`,
};

const modeCommand = (name: ModeAction, summary: string, done: string): Command => ({
  name,
  summary,
  positionals: ["POOL", "BACKEND"],
  flags: { url: URL_FLAG, ...(name === "drain" && { wait: WAIT_FLAG }) },

  async run(args, context) {
    const [pool, backend] = args.positionals as [string, string];
    const seconds = wholeNumber(args, "wait", 0, [1, WAIT_SECONDS_MAX]);
    const api = await findCluster(args, context);
    await api.setMode(pool, backend, name);
    context.print(`${backend} of pool ${pool} ${done}`);
    if (seconds === 0) return 0;
    return (await waitUntilDrained({ api, pool, backend, timeoutMs: seconds * 1_000, context })) ? 0 : 1;
  },
});

export const drain = modeCommand("drain", "no new requests for a backend", "is draining");
export const activate = modeCommand("activate", "give a backend requests again", "is active");
export const disable = modeCommand("disable", "take a backend out of service", "is disabled");
