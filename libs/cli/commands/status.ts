// `evenkeel status`: the pools and who is running, once or again every second.
import { setTimeout as sleep } from "node:timers/promises";
import type { AdminApi } from "../admin-api.ts";
import type { Command, Context } from "../command.ts";
import { findCluster, URL_FLAG } from "../find-cluster.ts";
import { renderStatus, type Status } from "./status-view.ts";

const REFRESH_INTERVAL_MS = 1_000;
/** Moves to the top left and clears what is below: less flicker than clearing first. */
const HOME = "\x1b[H";
const CLEAR_BELOW = "\x1b[J";
const CLEAR_LINE_END = "\x1b[K";

export const status: Command = {
  name: "status",
  summary: "show pools, backends and who is running",
  positionals: [],
  flags: {
    url: URL_FLAG,
    watch: { type: "boolean", help: "show it again every second until Ctrl-C" },
    json: { type: "boolean", help: "print {pools, members} as JSON, on one line" },
  },

  async run(args, context) {
    const find = () => findCluster(args, context);
    const api = await find();
    const render = (now: Status) =>
      args.given("json")
        ? JSON.stringify({ pools: now.pools, members: now.members })
        : renderStatus(now, Date.now(), process.stdout.columns);
    if (args.given("watch")) return watch(find, render, context);
    context.print(render(await readStatus(api)));
    return 0;
  },
};

async function readStatus(api: AdminApi): Promise<Status> {
  const [pools, members, config] = await Promise.all([api.pools(), api.members(), api.config()]);
  const failover = (config?.pools ?? []).flatMap(({ name, failoverTo }) =>
    failoverTo === undefined ? [] : [[name, failoverTo] as const],
  );
  return { pools, members, failover: Object.fromEntries(failover) };
}

/** A cluster that cannot be reached for a while is shown as such, and waited for; a new one may have other addresses. */
async function watch(
  find: () => Promise<AdminApi>,
  render: (now: Status) => string,
  context: Context,
): Promise<number> {
  const screen = process.stdout.isTTY;
  if (screen) context.print("\x1b[2J");
  while (!context.signal.aborted) {
    const text = await find()
      .then(readStatus)
      .then(render, (error: Error) => error.message);
    context.print(
      screen ? HOME + text.replaceAll("\n", `${CLEAR_LINE_END}\n`) + CLEAR_LINE_END + CLEAR_BELOW : text,
    );
    await sleep(REFRESH_INTERVAL_MS, undefined, { signal: context.signal }).catch(() => {});
  }
  return 0;
}
