// `evenkeel events`: what happened to pools and backends, once or as it happens. A cursor leads from one answer to the
// next, whichever scheduler gives it, so that nothing is lost or told twice when one dies.
import { setTimeout as sleep } from "node:timers/promises";
import { EVENT_TYPES, EVENTS_LIMIT_MAX, type ShownEvent } from "@evenkeel/core/wire/shown-event.ts";
import { type AdminApi, AdminApiError } from "../admin-api.ts";
import { type Arguments, type Command, type Context, UsageError, wholeNumber } from "../command.ts";
import { findCluster, URL_FLAG } from "../find-cluster.ts";
import { renderEvent } from "./events-view.ts";

/** Of one request; a scheduler that hangs is left that much later than without. */
const WAIT_MS = 5_000;
/** Before the next try, while no scheduler answers. */
const RETRY_MS = 500;
const NEWEST = 100;

const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export const events: Command = {
  name: "events",
  summary: "show what happened to pools and backends",
  positionals: [],
  flags: {
    url: URL_FLAG,
    follow: { type: "boolean", help: "go on with what happens, until Ctrl-C" },
    pool: { type: "string", value: "POOL", help: "of this pool only" },
    backend: { type: "string", value: "BACKEND", help: "of this backend only" },
    type: { type: "string", value: "TYPE", help: `of this kind only: ${EVENT_TYPES.join(", ")}` },
    since: { type: "string", value: "TIME", help: "since then: 30s, 10m, 2h or 1d ago" },
    limit: { type: "string", value: "N", help: `without --since: the newest N (${NEWEST})` },
    json: { type: "boolean", help: "print each event as JSON, on one line" },
  },

  async run(args, context) {
    const query = queryOf(args, Date.now());
    const find = () => findCluster(args, context);
    const print = (event: ShownEvent) =>
      context.print(args.given("json") ? JSON.stringify(event) : renderEvent(event, Date.now()));
    const api = await find();
    if (args.given("follow")) return follow({ api, find, query, print, context });
    let page = await api.events(query, 0, context.signal);
    page.events.forEach(print);
    while (page.more && !context.signal.aborted) {
      page = await api.events(after(query, page.cursor), 0, context.signal);
      page.events.forEach(print);
    }
    for (const pool of page.unread ?? []) context.say(`the log of pool ${pool} cannot be read just now`);
    return 0;
  },
};

type Query = Readonly<Record<string, string>>;

/** @throws UsageError */
export function queryOf(args: Arguments, nowMs: number): Query {
  const query: Record<string, string> = {};
  for (const name of ["pool", "backend", "type"]) {
    const text = args.text(name);
    if (text !== null) query[name] = text;
  }
  const since = args.text("since");
  if (since !== null) query.sinceMs = String(nowMs - spanMs(since));
  const limit = wholeNumber(args, "limit", since === null ? NEWEST : EVENTS_LIMIT_MAX, [1, EVENTS_LIMIT_MAX]);
  return { ...query, limit: String(limit) };
}

function spanMs(text: string): number {
  const [, digits, unit = ""] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (digits !== undefined) return Number(digits) * (UNITS_MS[unit] as number);
  throw new UsageError(`--since must be a time such as 30s, 10m, 2h or 1d, got "${text}"`);
}

const after = ({ sinceMs: _, ...query }: Query, cursor: string): Query => ({
  ...query,
  limit: String(EVENTS_LIMIT_MAX),
  after: cursor,
});

interface Following {
  api: AdminApi;
  find: () => Promise<AdminApi>;
  query: Query;
  print(event: ShownEvent): void;
  context: Context;
}

/** Schedulers, and Redis, may be away for a while; a new cluster may have other addresses. */
async function follow({ api, find, query, print, context: { say, signal } }: Following): Promise<number> {
  let now = api;
  let next = query;
  let waitMs = 0;
  let said = "";
  while (!signal.aborted) {
    try {
      const page = await now.events({ ...next, waitMs: String(waitMs) }, waitMs, signal);
      page.events.forEach(print);
      next = after(query, page.cursor);
      waitMs = page.more ? 0 : WAIT_MS;
      said = "";
    } catch (error) {
      if (signal.aborted) break;
      if (!passes(error)) throw error;
      if (error.message !== said) say(error.message);
      said = error.message;
      await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
      now = await find().catch(() => now);
    }
  }
  return 0;
}

const passes = (error: unknown): error is AdminApiError =>
  error instanceof AdminApiError && (error.status === 0 || error.status >= 500);
