// The two loads that are compared on one Redis. Both keep several calls on their way, so that Redis always has work.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Policy } from "@evenkeel/core/config/schema-scheduling.ts";
import { facts, outcome, statement } from "@evenkeel/core/ledger/fixtures.ts";
import type { Ledger, Outcomes, PoolFacts, Statement, Want } from "@evenkeel/core/ledger/ledger.ts";
import { createRedisLedger } from "@evenkeel/ledger/redis-ledger.ts";
import type { Redis } from "ioredis";

const IN_FLIGHT = 4;
const LINE_FEED = 10;
/** Of a reply to ZINCRBY: the length, the number. */
const LINES_PER_REPLY = 2;
/** A batch of so many wants or more comes from several gateways. */
const SHARED_FROM = 64;
const SHARED_BY = 4;
const ZONES = ["a", "b", "c", "d"];
const LATENCY_US = 20_000;

export interface Load {
  /** Decisions made meanwhile. */
  run(ms: number): Promise<number>;
  close(): Promise<void>;
}

/** ZINCRBY in pipelines over raw sockets: a client that costs next to nothing. */
export async function openIncrements(port: number, members: number, pipeline: number): Promise<Load> {
  const key = `increments-${members}`;
  const command = (i: number) => resp(["ZINCRBY", key, "1", `backend-${i % members}`]);
  const whole = (commands: string[]) => Buffer.from(commands.join(""));
  const batches = Array.from({ length: Math.max(16, Math.ceil(members / pipeline)) }, (_, batch) =>
    // Steps that share no factor with the number of members: all of them are met, in no order.
    whole(Array.from({ length: pipeline }, (_, i) => command((batch * pipeline + i) * 7_919))),
  );
  const sockets = await Promise.all(Array.from({ length: IN_FLIGHT }, () => open(port)));
  const turn = { next: 0 };
  const send = async (socket: Socket, untilMs: number): Promise<number> => {
    let done = 0;
    while (performance.now() < untilMs) {
      socket.write(batches[turn.next++ % batches.length] as Buffer);
      await lines(socket, pipeline * LINES_PER_REPLY);
      done += pipeline;
    }
    return done;
  };
  return {
    run: (ms) => sum(sockets.map((socket) => send(socket, performance.now() + ms))),
    async close() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

const resp = (parts: string[]) =>
  `*${parts.length}\r\n${parts.map((part) => `$${part.length}\r\n${part}\r\n`).join("")}`;

async function open(port: number): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  await once(socket, "connect");
  return socket;
}

/** Resolves when so many more lines have come. */
function lines(socket: Socket, wanted: number): Promise<void> {
  return new Promise((resolve) => {
    let missing = wanted;
    const count = (chunk: Buffer) => {
      for (let at = chunk.indexOf(LINE_FEED); at >= 0; at = chunk.indexOf(LINE_FEED, at + 1)) missing -= 1;
      if (missing > 0) return;
      socket.off("data", count);
      resolve();
    };
    socket.on("data", count);
  });
}

export interface SettlePlan {
  policy: Policy;
  backends: number;
  wants: number;
}

/**
 * Settles that each give back what the same gateways picked with their last one, report it as successes, and want as
 * many again: in flight stays the same.
 */
export async function openSettles(redis: Redis, plan: SettlePlan): Promise<Load> {
  const ledger = createRedisLedger({ redis, prefix: "bench" });
  const pool = `${plan.policy}-${plan.backends}-${plan.wants}`;
  await ledger.configure(poolFacts(pool, plan));
  const perBatch = plan.wants >= SHARED_FROM ? SHARED_BY : 1;
  const groups = Array.from({ length: IN_FLIGHT }, (_, group) =>
    Array.from({ length: perBatch }, (_, i) =>
      newGateway(`gateway-${group}-${i}`, plan.wants / perBatch, plan),
    ),
  );
  return {
    run: (ms) => sum(groups.map((group) => settleUntil(ledger, pool, group, performance.now() + ms))),
    close: () => ledger.remove(pool, Number.MAX_SAFE_INTEGER),
  };
}

interface Gateway {
  next: Statement;
  wants: Want[];
}

function newGateway(name: string, wants: number, plan: SettlePlan): Gateway {
  const all = Array.from({ length: wants }, (_, i) => wantOf(plan, i));
  return { next: statement(name, 1, { full: true, wants: all }), wants: all };
}

/** What the policy looks at, as gateways would say it. */
function wantOf({ policy, backends }: SettlePlan, i: number): Want {
  if (policy === "hash")
    return { ranked: Array.from({ length: 3 }, (_, rank) => `backend-${(i * 31 + rank * 17) % backends}`) };
  return policy === "geo" ? { zone: ZONES[i % ZONES.length] as string } : {};
}

async function settleUntil(ledger: Ledger, pool: string, group: Gateway[], untilMs: number): Promise<number> {
  let done = 0;
  while (performance.now() < untilMs) {
    const result = await ledger.settle(
      pool,
      group.map(({ next }) => next),
    );
    if (!result) throw new Error(`${pool} is not known`);
    for (const [i, gateway] of group.entries()) {
      const picks = result.replies[i]?.picks ?? [];
      gateway.next = answered(gateway, picks);
      done += picks.length;
    }
  }
  return done;
}

function answered({ next, wants }: Gateway, picks: (string | null)[]): Statement {
  const held: Record<string, number> = {};
  const outcomes: Record<string, Outcomes> = {};
  for (const id of picks) {
    if (id === null) throw new Error("there was no backend to pick");
    held[id] = 0;
    const known = outcomes[id];
    if (known) known.success += 1;
    else outcomes[id] = outcome({ success: 1, latencyUs: LATENCY_US });
  }
  return statement(next.gateway, next.seq + 1, { held, outcomes, wants });
}

function poolFacts(pool: string, { policy, backends }: SettlePlan): PoolFacts {
  const ids = Array.from({ length: backends }, (_, i) => `backend-${i}`);
  const made = facts(Object.fromEntries(ids.map((id, i) => [id, 1 + (i % 4)])), { pool, policy });
  const near = ZONES.map((from, i) => [
    from,
    Object.fromEntries(ZONES.map((to, j) => [to, Math.abs(i - j)])),
  ]);
  return {
    ...made,
    spillAt: 4,
    distances: policy === "geo" ? Object.fromEntries(near) : {},
    criteria: [
      { name: "connections", weight: 1, scale: 10 },
      { name: "latency", weight: 1, scale: 1 },
    ],
    backends: made.backends.map((b, i) => ({ ...b, zone: ZONES[i % ZONES.length] as string })),
  };
}

const sum = async (numbers: Promise<number>[]): Promise<number> =>
  (await Promise.all(numbers)).reduce((total, n) => total + n, 0);
