// Users: a steady stream of requests over all gateways. Where a gateway takes no connection they go on to the next, as
// behind DNS or a balancer of connections.
import { Agent, request } from "node:http";
import type { RequestFact } from "./facts.ts";

const PER_SECOND = 110;
/** Every so many requests is a POST. */
const POST_EVERY = 11;
/** Every so many takes long, so that something is always in flight. */
const SLOW_EVERY = 10;
const SLOW_MS = 300;
const PACE_MS = 5;
/** Longer than all attempts of a gateway, and than anything is frozen. */
const PATIENCE_MS = 12_000;
/** Of what an answer that is not 200 says. */
const KEPT_TEXT = 200;
const AFTERWARDS_AT_ONCE = 4;

export interface Entrance {
  id: string;
  url: string;
}

export interface Traffic {
  /** Sends no more and waits for what is open. */
  stop(): Promise<RequestFact[]>;
}

export function startTraffic(gateways: readonly Entrance[], name: string): Traffic {
  const agent = new Agent({ keepAlive: true, maxSockets: 1_000 });
  const facts: RequestFact[] = [];
  const open = new Set<Promise<unknown>>();
  const startedMs = performance.now();
  let sent = 0;

  const send = (n: number) => {
    const method = n % POST_EVERY === 0 ? "POST" : "GET";
    const delayMs = n % SLOW_EVERY === 5 ? SLOW_MS : 0;
    const one = ask({ agent, gateways, first: n, id: `${name}-${n}`, method, delayMs }).then((fact) => {
      facts.push(fact);
      open.delete(one);
    });
    open.add(one);
  };
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedMs) / 1_000) * PER_SECOND);
    while (sent < due) send(sent++);
  }, PACE_MS);

  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(open);
      agent.destroy();
      return facts;
    },
  };
}

export async function askInARow(
  gateways: readonly Entrance[],
  name: string,
  count: number,
): Promise<RequestFact[]> {
  const agent = new Agent({ keepAlive: true });
  const answered: RequestFact[] = [];
  let next = 0;
  const askOn = async () => {
    for (let n = next++; n < count; n = next++) {
      const id = `${name}-after-${n}`;
      answered.push(await ask({ agent, gateways, first: n, id, method: "GET", delayMs: 0 }));
    }
  };
  await Promise.all(Array.from({ length: AFTERWARDS_AT_ONCE }, askOn));
  agent.destroy();
  return answered;
}

interface Asked {
  agent: Agent;
  gateways: readonly Entrance[];
  /** Which gateway goes first, counted on over all. */
  first: number;
  id: string;
  method: "GET" | "POST";
  delayMs: number;
}

interface Answered {
  status: number;
  backend: string | null;
  trouble: string | null;
  /** No connection: nothing was sent. */
  refused: boolean;
}

async function ask(asked: Asked): Promise<RequestFact> {
  const { gateways, first, id, method } = asked;
  const startedMs = Date.now();
  let gateway = "";
  let answered: Answered = { status: 0, backend: null, trouble: "no gateway", refused: true };
  for (let turn = 0; turn < gateways.length && answered.refused; turn++) {
    const entrance = gateways[(first + turn) % gateways.length] as Entrance;
    gateway = entrance.id;
    answered = await askOne(asked, entrance.url);
  }
  const { status, backend, trouble } = answered;
  return { id, method, gateway, startedMs, endedMs: Date.now(), status, backend, trouble };
}

function askOne({ agent, id, method, delayMs }: Asked, url: string): Promise<Answered> {
  return new Promise((resolve) => {
    let backend: string | null = null;
    const fail = (error: NodeJS.ErrnoException) =>
      resolve({ status: 0, backend, trouble: error.message, refused: error.code === "ECONNREFUSED" });
    const outgoing = request(`${url}/?id=${id}&delay=${delayMs}`, { method, agent }, (response) => {
      const { statusCode: status = 0, headers } = response;
      backend = (headers["x-evenkeel-backend"] as string | undefined) ?? null;
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        if (text.length < KEPT_TEXT) text += chunk;
      });
      response.on("error", fail);
      response.on("end", () => {
        const trouble = status === 200 ? null : text.trim().slice(0, KEPT_TEXT);
        resolve({ status, backend, trouble, refused: false });
      });
    });
    outgoing.setTimeout(PATIENCE_MS, () => outgoing.destroy(new Error("no answer in time")));
    outgoing.on("error", fail);
    outgoing.end(method === "POST" ? "a body" : undefined);
  });
}
