// Clients that never stop asking: a fixed number of them per gateway, each sending its next request when it has its
// answer, while a test does something to the stack.
import { Agent, request } from "node:http";

const REQUEST_TIMEOUT_MS = 15_000;

export interface Answer {
  gateway: string;
  /** 0 when the connection failed. */
  status: number;
  /** The id of the backend that answered, from x-evenkeel-backend; empty when there is none. */
  backend: string;
  error: string;
  sentAtMs: number;
}

export interface Traffic {
  /** Every answer up to now, oldest first; it grows until `stop`. */
  answers: readonly Answer[];
  /** Resolves when the last open request is answered. */
  stop(): Promise<readonly Answer[]>;
}

export function startTraffic(gateways: string[], clientsPerGateway: number): Traffic {
  const answers: Answer[] = [];
  let stopped = false;
  const client = async (gateway: string) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!stopped) answers.push(await ask(gateway, agent));
    agent.destroy();
  };
  const clients = gateways.flatMap((gateway) =>
    Array.from({ length: clientsPerGateway }, () => client(gateway)),
  );
  return {
    answers,
    async stop() {
      stopped = true;
      await Promise.all(clients);
      return answers;
    },
  };
}

/** `count` answers of one gateway, `together` requests open at a time. */
export async function sample(gateway: string, count: number, together: number): Promise<Answer[]> {
  const answers: Answer[] = [];
  let left = count;
  const client = async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (left-- > 0) answers.push(await ask(gateway, agent));
    agent.destroy();
  };
  await Promise.all(Array.from({ length: together }, client));
  return answers;
}

function ask(gateway: string, agent: Agent): Promise<Answer> {
  const sentAtMs = Date.now();
  return new Promise((resolve) => {
    const answered = (status: number, backend: string, error: string) =>
      resolve({ gateway, status, backend, error, sentAtMs });
    const failed = (error: NodeJS.ErrnoException) => answered(0, "", error.code ?? error.message);
    const asked = request(gateway, { agent, timeout: REQUEST_TIMEOUT_MS }, (response) => {
      const backend = response.headers["x-evenkeel-backend"];
      response.resume();
      response.on("error", failed);
      response.on("end", () => answered(response.statusCode ?? 0, String(backend ?? ""), ""));
    });
    asked.on("timeout", () => asked.destroy(new Error("timeout")));
    asked.on("error", failed);
    asked.end();
  });
}

/** What went wrong, by kind, for a message that helps: `{}` when nothing did. */
export function failuresIn(answers: readonly Answer[]): Record<string, number> {
  const failures: Record<string, number> = {};
  for (const { gateway, status, error } of answers) {
    if (status === 200) continue;
    const kind = `${gateway} ${status || error}`;
    failures[kind] = (failures[kind] ?? 0) + 1;
  }
  return failures;
}

export function countByBackend(answers: readonly Answer[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { backend } of answers) counts[backend] = (counts[backend] ?? 0) + 1;
  return counts;
}
