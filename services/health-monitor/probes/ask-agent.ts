// Asks a backend's agent how loaded the backend is: one GET, answered with status 200 and a JSON object, metric →
// number. Whatever else comes, or does not come in time, is a fault of the agent and says nothing of the backend.
import type { IncomingMessage } from "node:http";
import { authorityOf, backendAddress } from "@evenkeel/core/config/backend-url.ts";
import type { BackendTls } from "@evenkeel/core/config/resolve-resilience.ts";
import type { Reports } from "@evenkeel/core/config/resolve-scheduling.ts";
import { METRIC_VALUE_MAX } from "@evenkeel/core/ledger/ledger.ts";
import { attempt, type Done, reasonOf } from "./attempt.ts";
import { get } from "./get.ts";

const BODY_LIMIT_BYTES = 64 * 1024;

export type Agent = NonNullable<Reports["agent"]>;

export interface AgentReport {
  /** Of those that were asked for, the ones that are sound. */
  metrics: Record<string, number>;
  /** The first thing that was wrong, short and bounded, for a log line; null when nothing was. */
  fault: string | null;
}

export async function askAgent(
  url: string,
  agent: Agent,
  timeoutMs: number,
  tls: BackendTls | null = null,
): Promise<AgentReport> {
  const chunks: Buffer[] = [];
  const { ok, reason } = await attempt(timeoutMs, (done) => {
    const asked = get(originOf(url, agent), agent.path, "application/json", tls);
    asked.on("response", (response) => collect(response, chunks, done));
    asked.on("upgrade", () => done(false, "status 101"));
    asked.on("error", (error) => done(false, reasonOf(error)));
    return asked;
  });
  return ok ? readReport(Buffer.concat(chunks).toString(), agent.metrics) : { metrics: {}, fault: reason };
}

function originOf(url: string, { port }: Agent): string {
  const address = backendAddress(url);
  if (port === null || address === null) return url;
  return `${address.scheme}://${authorityOf({ ...address, port })}`;
}

function collect(response: IncomingMessage, chunks: Buffer[], done: Done): void {
  const { statusCode } = response;
  if (statusCode !== 200) {
    done(false, `status ${statusCode}`);
    return;
  }
  let bytes = 0;
  response.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    chunks.push(chunk);
    if (bytes > BODY_LIMIT_BYTES) done(false, `more than ${BODY_LIMIT_BYTES} bytes`);
  });
  response.on("end", () => done(true, "answered"));
  response.on("error", (error) => done(false, reasonOf(error)));
}

function readReport(text: string, wanted: readonly string[]): AgentReport {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return { metrics: {}, fault: "not JSON" };
  }
  if (typeof answer !== "object" || answer === null || Array.isArray(answer)) {
    return { metrics: {}, fault: "not a JSON object" };
  }
  const values = new Map<string, unknown>(Object.entries(answer));
  const sound = wanted.flatMap((name) => {
    const value = values.get(name);
    return isMetric(value) ? [[name, value] as const] : [];
  });
  const missing = wanted.find((name) => !isMetric(values.get(name)));
  return {
    metrics: Object.fromEntries(sound),
    fault: missing === undefined ? null : `no number for ${missing}`,
  };
}

const isMetric = (value: unknown): value is number =>
  typeof value === "number" && Math.abs(value) <= METRIC_VALUE_MAX;
