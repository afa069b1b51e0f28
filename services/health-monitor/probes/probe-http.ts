// An HTTP probe: whether one GET is answered well.
import type { IncomingMessage } from "node:http";
import type { BackendTls } from "@evenkeel/core/config/resolve-resilience.ts";
import { attempt, type Done, type ProbeResult, reasonOf } from "./attempt.ts";
import { get } from "./get.ts";

/** Past this much of a body the answer is good enough. */
const BODY_LIMIT_BYTES = 16 * 1024;

/** Good: status 2xx or 3xx (never followed), and its body ends, or reaches the limit, in time. */
export function probeHttp(
  url: string,
  path: string,
  timeoutMs: number,
  tls: BackendTls | null = null,
): Promise<ProbeResult> {
  return attempt(timeoutMs, (done) => {
    const probe = get(url, path, "*/*", tls);
    probe.on("response", (response) => judge(response, done));
    probe.on("upgrade", () => done(false, "status 101"));
    probe.on("error", (error) => done(false, reasonOf(error)));
    return probe;
  });
}

function judge(response: IncomingMessage, done: Done): void {
  const reason = `status ${response.statusCode}`;
  const status = response.statusCode ?? 0;
  if (status < 200 || status > 399) {
    done(false, reason);
    return;
  }
  let bytes = 0;
  response.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes >= BODY_LIMIT_BYTES) done(true, reason);
  });
  response.on("end", () => done(true, reason));
  response.on("error", (error) => done(false, reasonOf(error)));
}
