// An HTTP probe: one GET on a connection of its own, so that a kept-alive one never hides a listener that is gone.
import { type IncomingMessage, request } from "node:http";
import { attempt, type Done, type ProbeResult, reasonOf } from "./attempt.ts";

/** Past this much of a body the answer is good enough. */
const BODY_LIMIT_BYTES = 16 * 1024;

/** Good: status 2xx or 3xx (never followed), and its body ends, or reaches the limit, in time. */
export function probeHttp(url: string, path: string, timeoutMs: number): Promise<ProbeResult> {
  return attempt(timeoutMs, (done) => {
    const { hostname, port, host } = new URL(url);
    const probe = request({
      hostname: hostname.replace(/^\[|\]$/g, ""),
      port: port || 80,
      path,
      agent: false,
      headers: { host, connection: "close", accept: "*/*", "user-agent": "evenkeel-health-monitor" },
    });
    probe.on("response", (response) => judge(response, done));
    probe.on("upgrade", () => done(false, "status 101"));
    probe.on("error", (error) => done(false, reasonOf(error)));
    probe.end();
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
