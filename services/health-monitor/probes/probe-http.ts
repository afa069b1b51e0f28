// An HTTP probe: whether one request is answered well.
import { type HttpProbing, statusIn } from "@evenkeel/core/config/resolve-health.ts";
import type { BackendTls } from "@evenkeel/core/config/resolve-resilience.ts";
import type { Done, Probe } from "./attempt.ts";
import { exchange, requestOf, targetOf } from "./exchange.ts";
import { HttpAnswer } from "./http-answer.ts";

/** Past this much of a body the answer is good enough; what is looked for must be within. */
export const BODY_MAX_BYTES = 16 * 1024;

/**
 * Good: an expected status (a redirect is never followed), and a body that holds what it must, or ends, or reaches the
 * limit, in time. @throws for what cannot be asked
 */
export function httpProbe(url: string, probing: HttpProbing, tls: BackendTls | null): Probe {
  const { method, path, host, headers, expectStatus, timeoutMs } = probing;
  const target = targetOf(url, probing.port, tls, probing.servername);
  const request = requestOf(target, { method, path, accept: "*/*", host, headers });
  // In latin1, as the answer is read.
  const expected = probing.expectBody === null ? null : Buffer.from(probing.expectBody).toString("latin1");

  const judge = (answer: HttpAnswer, done: Done) => {
    const { status, over, body } = answer;
    if (status === 0) return;
    if (!statusIn(expectStatus, status)) done(false, `status ${status}`);
    else if (expected !== null && body.includes(expected)) done(true, `status ${status}`);
    else if (over)
      done(expected === null, expected === null ? `status ${status}` : "body lacks the expected text");
  };
  return () => exchange(target, request, timeoutMs, new HttpAnswer(BODY_MAX_BYTES, method === "HEAD"), judge);
}
