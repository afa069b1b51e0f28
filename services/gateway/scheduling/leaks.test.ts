// Tries to construct a leak: gateways with real rows, over the ledger's reference model, on a network and a Redis that
// do their worst. When it is quiet again, every count must be exactly what living gateways hold.
import { facts, POOL } from "@evenkeel/core/ledger/fixtures.ts";
import { GATEWAY_TTL_MS, type Reply, type Statement } from "@evenkeel/core/ledger/ledger.ts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SETTLE_TIMEOUT_MS } from "./schedulers.ts";
import { createForgetfulRedis } from "./test-support/forgetful-redis.ts";
import { createPretendGateway, type PretendGateway } from "./test-support/pretend-gateway.ts";

const RUNS = 600;
const SEED = 20_261_121;
const STEPS_MAX = 80;
const GATEWAYS = 3;
const BACKENDS = { a: 1, b: 2, c: 3, constructor: 1 };
const HEARTBEAT_MS = 1_000;

interface Request {
  from: PretendGateway;
  statement: Statement;
}

interface Answer extends Request {
  reply: Reply;
}

type Step = (scene: Scene, gateway: PretendGateway, n: number) => unknown;

/** What can happen, with how often it does; `n` is any small number. */
const STEPS: Record<string, { weight: number; act: Step }> = {
  state: { weight: 6, act: (_, gateway, n) => gateway.state(n % 4) },
  release: { weight: 6, act: (_, gateway, n) => gateway.release(n) },
  pickAlone: { weight: 1, act: (_, gateway, n) => gateway.take(Object.keys(BACKENDS)[n % 4] as string) },
  requestArrives: { weight: 8, act: (scene, _, n) => scene.requestArrives(n) },
  requestIsLost: { weight: 1, act: (scene, _, n) => takeOut(scene.requests, n) },
  requestIsRepeated: { weight: 2, act: (scene, _, n) => scene.requestIsRepeated(n) },
  answerArrives: { weight: 8, act: (scene, _, n) => scene.answerArrives(n) },
  answerIsLost: { weight: 1, act: (scene, _, n) => takeOut(scene.answers, n) },
  late: { weight: 1, act: (_, gateway, n) => gateway.late(Object.keys(BACKENDS)[n % 4] as string) },
  timeOut: { weight: 1, act: (_, gateway) => gateway.timeOut() },
  timePasses: { weight: 2, act: (scene, _, n) => scene.timePasses(n * 200) },
  gatewayDies: { weight: 1, act: (scene, gateway) => scene.replace(gateway) },
  redisForgetsSome: { weight: 1, act: (scene, _, n) => scene.redis.forget(n % 8) },
  redisForgetsAll: { weight: 1, act: (scene) => scene.redis.forget(Number.POSITIVE_INFINITY) },
  poolChanges: { weight: 1, act: (scene, _, n) => scene.configure(n % 2 === 0) },
};

const steps = fc.array(
  fc.record({
    kind: fc.oneof(
      ...Object.entries(STEPS).map(([kind, { weight }]) => ({ weight, arbitrary: fc.constant(kind) })),
    ),
    gateway: fc.nat(GATEWAYS - 1),
    n: fc.nat(20),
  }),
  { maxLength: STEPS_MAX, size: "max" },
);

const takeOut = <T>(from: T[], n: number): T | undefined => from.splice(n % Math.max(1, from.length), 1)[0];

/** @param malicious requests are repeated even if they were answered, at any later time */
function createScene(malicious: boolean) {
  const redis = createForgetfulRedis();
  const requests: Request[] = [];
  const executed: Request[] = [];
  let answers: Answer[] = [];
  let started = 0;
  let configVersion = 1;
  const start = (): PretendGateway => {
    started += 1;
    const from = createPretendGateway(`g${started}`, (statement) => requests.push({ from, statement }));
    return from;
  };
  const gateways = Array.from({ length: GATEWAYS }, start);

  const execute = async (request: Request) => {
    const settle = () => redis.call((ledger) => ledger.settle(POOL, [request.statement]));
    let result = await settle();
    if (!result) {
      await scene.configure(true);
      result = await settle();
    }
    executed.push(request);
    answers.push({ ...request, reply: result?.replies[0] as Reply });
  };

  const scene = {
    redis,
    requests,
    gateways,
    get answers() {
      return answers;
    },
    configure(whole: boolean) {
      configVersion += 1;
      const { a, ...rest } = BACKENDS;
      const applied = facts(whole ? { a, ...rest } : rest, { configVersion });
      return redis.call((ledger) => ledger.configure(applied));
    },
    /** A gateway waits for an answer much shorter than its row lives. */
    timePasses(ms: number) {
      redis.advance(ms);
      if (ms >= SETTLE_TIMEOUT_MS) for (const gateway of gateways) gateway.timeOut();
    },
    replace(gateway: PretendGateway) {
      gateways[gateways.indexOf(gateway)] = start();
    },
    async requestArrives(n: number) {
      const request = takeOut(requests, n);
      if (request) await execute(request);
    },
    /** As clients of Redis do it: when a connection broke before the answer came. */
    async requestIsRepeated(n: number) {
      const request = executed[n % Math.max(1, executed.length)];
      if (!request) return;
      const { from, statement } = request;
      if (!malicious && !from.asks(statement.seq)) return;
      if (!malicious) answers = answers.filter((a) => a.from !== from || a.statement.seq !== statement.seq);
      await execute(request);
    },
    answerArrives(n: number) {
      const answer = takeOut(answers, n);
      answer?.from.answer(answer.statement.seq, answer.reply);
    },
    /** One undisturbed settle of every living gateway. */
    async everyoneStates(inFull: boolean) {
      for (const gateway of gateways) {
        if (inFull) gateway.stateInFull();
        else gateway.state(0);
        await scene.requestArrives(0);
        scene.answerArrives(0);
      }
    },
    async becomesQuiet() {
      while (requests.length > 0) await scene.requestArrives(0);
      while (answers.length > 0) scene.answerArrives(0);
      for (const gateway of gateways) gateway.timeOut();
    },
  };
  return scene;
}

type Scene = ReturnType<typeof createScene>;

async function expectExactCounts({ redis, gateways }: Scene): Promise<void> {
  const pool = await redis.call((ledger) => ledger.read(POOL));
  const rows = await redis.call((ledger) => ledger.rows(POOL));
  const held = gateways.map(({ id, row }) => [id, Object.fromEntries(row.held)] as const);
  expect(rows).toEqual(Object.fromEntries(held));
  for (const { id, inflight } of pool?.backends ?? []) {
    expect(inflight).toBe(gateways.reduce((sum, { row }) => sum + (row.held.get(id) ?? 0), 0));
  }
}

async function survive(scene: Scene, trace: { kind: string; gateway: number; n: number }[]): Promise<void> {
  for (const { kind, gateway, n } of trace) {
    await STEPS[kind]?.act(scene, scene.gateways[gateway] as PretendGateway, n);
  }
  await scene.becomesQuiet();
}

describe("the counts", () => {
  it("are exact two statements after any losses, delays, repetitions, deaths and relapses of Redis", async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (trace) => {
        const scene = createScene(false);
        await survive(scene, trace);
        for (let i = 0; i < 2; i += 1) await scene.everyoneStates(false);
        // nothing but heartbeats, until the dead have expired
        for (let ms = 0; ms < GATEWAY_TTL_MS; ms += HEARTBEAT_MS) {
          scene.redis.advance(HEARTBEAT_MS);
          await scene.everyoneStates(false);
        }
        await expectExactCounts(scene);
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });

  it("are exact after one full statement, even if answered requests were repeated any time later", async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (trace) => {
        const scene = createScene(true);
        await survive(scene, trace);
        scene.redis.advance(GATEWAY_TTL_MS);
        await scene.everyoneStates(true);
        await expectExactCounts(scene);
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });
});
