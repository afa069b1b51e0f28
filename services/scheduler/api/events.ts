// GET /v1/events: the logs of all pools as one, once, as a long poll, or as a stream of server-sent events.
import { once } from "node:events";
import { LIMITS, NAME_PATTERN } from "@evenkeel/core/config/schema.ts";
import type { LedgerEvent } from "@evenkeel/core/ledger/ledger.ts";
import {
  EVENT_TYPES,
  EVENTS_LIMIT_MAX,
  EVENTS_WAIT_MAX_MS,
  type ShownEvents,
} from "@evenkeel/core/wire/shown-event.ts";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import Type from "typebox";
import { SchedulerError, unknownPool, viaRedis } from "../errors.ts";
import { type Cursor, cursorFrom, decodeCursor, encodeCursor } from "../events/cursor.ts";
import { createFollowers, type Followers } from "../events/follow.ts";
import type { EventPage, EventQuery, LogTail } from "../events/tail.ts";
import { answers, ShownEventsSchema } from "./schemas.ts";

const EVENTS_LIMIT = 100;
/** A stream without events says so this often that it lives. */
const HEARTBEAT_MS = 10_000;
/** A client that takes nothing for so long is gone. */
const TAKE_MAX_MS = 30_000;

const Whole = (description: string) => Type.Optional(Type.String({ pattern: "^[0-9]{1,15}$", description }));

const Query = Type.Object(
  {
    pool: Type.Optional(Type.String({ pattern: NAME_PATTERN })),
    backend: Type.Optional(Type.String({ pattern: NAME_PATTERN })),
    type: Type.Optional(Type.Enum([...EVENT_TYPES])),
    sinceMs: Whole("Those since then, the oldest first; ms since the epoch"),
    after: Type.Optional(
      Type.String({ maxLength: 15_000, description: "`cursor` of an answer: what came after that" }),
    ),
    limit: Whole(`At most so many, ${EVENTS_LIMIT} if nothing is said, ${EVENTS_LIMIT_MAX} at most`),
    waitMs: Whole(`If there are none, wait so long for some; at most ${EVENTS_WAIT_MAX_MS}`),
  },
  { additionalProperties: false },
);

interface Asked {
  Querystring: {
    pool?: string;
    backend?: string;
    type?: string;
    sinceMs?: string;
    after?: string;
    limit?: string;
    waitMs?: string;
  };
}
type EventsRequest = FastifyRequest<Asked>;

export function addEvents(server: FastifyInstance, tail: LogTail): void {
  const followers = createFollowers(tail);
  server.get<Asked>(
    "/v1/events",
    {
      schema: {
        summary: "What happened to pools and backends",
        description:
          "Without `after` and `sinceMs`: the newest. With `accept: text/event-stream` every answer is an event of a stream, its id the cursor (`last-event-id`).",
        tags: ["state"],
        querystring: Query,
        response: answers(ShownEventsSchema, 404),
      },
    },
    async (request, reply) => {
      const query = queryOf(request);
      const cursor = cursorOf(request);
      if (query.pool !== null && !(await viaRedis(tail.pools())).includes(query.pool))
        throw unknownPool(query.pool);
      if (asksForStream(request)) return stream(followers, tail, { cursor, query, reply });
      const waitMs = bounded(request.query.waitMs, 0, EVENTS_WAIT_MAX_MS, "waitMs");
      return shown(await viaRedis(followers.next(cursor, query, waitMs, goneSignal(reply))));
    },
  );
}

const asksForStream = ({ headers }: EventsRequest): boolean =>
  /text\/event-stream/i.test(headers.accept ?? "");

const shown = ({ events, cursor, more, unread }: EventPage): ShownEvents => ({
  events,
  cursor: encodeCursor(cursor),
  more,
  ...(unread.length > 0 && { unread: unread.slice(0, LIMITS.pools) }),
});

function queryOf({ query: { pool, backend, type, limit } }: EventsRequest): EventQuery {
  return {
    pool: pool ?? null,
    limit: Math.max(1, bounded(limit, EVENTS_LIMIT, EVENTS_LIMIT_MAX, "limit")),
    wanted: (event) => (type === undefined || event.type === type) && concerns(event, backend),
  };
}

function concerns(event: LedgerEvent, backend: string | undefined): boolean {
  if (backend === undefined) return true;
  if (event.type === "panic") return false;
  if (event.type === "members") return event.joined.includes(backend) || event.left.includes(backend);
  return event.backend === backend;
}

function bounded(text: string | undefined, usual: number, most: number, name: string): number {
  const value = text === undefined ? usual : Number(text);
  if (value <= most) return value;
  throw new SchedulerError("invalid_request", `${name} must be at most ${most}, got ${value}`);
}

/** Null: the newest. */
function cursorOf({ query: { after, sinceMs }, headers }: EventsRequest): Cursor | null {
  const text = headers["last-event-id"] ?? after;
  if (text === undefined || Array.isArray(text))
    return sinceMs === undefined ? null : cursorFrom(Number(sinceMs));
  const cursor = decodeCursor(text);
  if (cursor) return cursor;
  throw new SchedulerError(
    "invalid_request",
    "`after` is not a cursor of this API; leave it out to begin anew",
  );
}

/** Aborted when nobody waits for the answer any more. */
function goneSignal({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  raw.once("close", () => gone.abort());
  return gone.signal;
}

const messageOf = ({ events, cursor }: EventPage): string =>
  events.length === 0
    ? ": nothing new\n\n"
    : `event: events\nid: ${encodeCursor(cursor)}\ndata: ${JSON.stringify(events)}\n\n`;

interface Streaming {
  cursor: Cursor | null;
  query: EventQuery;
  reply: FastifyReply;
}

/** One event of the stream per answer: so its id is a cursor, and what comes after a reconnect neither lacks nor repeats anything. */
async function stream(followers: Followers, tail: LogTail, { cursor, query, reply }: Streaming) {
  const gone = goneSignal(reply);
  let page = await viaRedis(followers.next(cursor, query, 0));
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    connection: "close",
  });
  raw.write(`id: ${encodeCursor(page.cursor)}\n\n`);
  try {
    for (;;) {
      if (!raw.write(messageOf(page))) {
        await once(raw, "drain", { signal: AbortSignal.any([gone, AbortSignal.timeout(TAKE_MAX_MS)]) });
      }
      if (gone.aborted || tail.ended) break;
      page = await followers.next(page.cursor, query, HEARTBEAT_MS, gone);
    }
  } catch {
    // The client is gone or takes nothing, or Redis is: it comes back with its last id.
  }
  // What a client does not take would otherwise be kept for it as long as it stays connected.
  if (gone.aborted || raw.writableNeedDrain) raw.destroy();
  else raw.end();
}
