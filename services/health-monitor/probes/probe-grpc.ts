// A gRPC probe: what grpc.health.v1.Health/Check says, over HTTP/2, by TLS for https:// and else with prior knowledge.
import { connect, constants, type IncomingHttpHeaders } from "node:http2";
import type { GrpcProbing } from "@evenkeel/core/config/resolve-health.ts";
import type { BackendTls } from "@evenkeel/core/config/resolve-resilience.ts";
import { attempt, type Done, type Probe, reasonOf } from "./attempt.ts";
import { targetOf } from "./exchange.ts";
import { healthRequest, servingStatus } from "./grpc-health.ts";
import { probeLookup } from "./lookup.ts";

const ANSWER_MAX_BYTES = 16 * 1024;

/** @throws for a url that is none */
export function grpcProbe(url: string, probing: GrpcProbing, tls: BackendTls | null): Probe {
  const { service, timeoutMs } = probing;
  const target = targetOf(url, probing.port, tls, probing.servername);
  const scheme = target.tls ? "https" : "http";
  const authority = probing.host ?? target.authority;
  const host = target.host.includes(":") ? `[${target.host}]` : target.host;
  const headers = {
    ":method": "POST",
    ":scheme": scheme,
    ":authority": authority,
    ":path": "/grpc.health.v1.Health/Check",
    "content-type": "application/grpc",
    te: "trailers",
    "grpc-timeout": `${timeoutMs}m`,
    "user-agent": "evenkeel-health-monitor",
  };
  const message = healthRequest(service);
  return () =>
    attempt(timeoutMs, (done) => {
      const session = connect(`${scheme}://${host}:${target.port}`, {
        lookup: probeLookup,
        ...target.tls?.(),
      });
      session.on("error", (error) => done(false, reasonOf(error)));
      session.on("close", () => done(false, "ECONNRESET"));
      const stream = session.request(headers);
      // A stream is canceled because of what befell its connection.
      stream.on("error", (error) =>
        done(false, reasonOf(error.cause instanceof Error ? error.cause : error)),
      );
      judge(stream, done);
      stream.end(message);
      return session;
    });
}

function judge(stream: ReturnType<ReturnType<typeof connect>["request"]>, done: Done): void {
  const parts: Buffer[] = [];
  let bytes = 0;
  let trailers: IncomingHttpHeaders = {};
  stream.on("response", (headers) => {
    const status = Number(headers[constants.HTTP2_HEADER_STATUS]);
    if (status !== 200) return done(false, `status ${status}`);
    if (!String(headers["content-type"]).startsWith("application/grpc")) return done(false, "not gRPC");
    // An error without a message comes with its status in the headers.
    trailers = headers;
  });
  stream.on("data", (part: Buffer) => {
    parts.push(part);
    bytes += part.length;
    if (bytes > ANSWER_MAX_BYTES) done(false, "not a health answer");
  });
  stream.on("trailers", (sent) => {
    trailers = sent;
  });
  stream.on("end", () => {
    const code = trailers["grpc-status"];
    if (code === undefined) return done(false, "no grpc-status");
    if (!/^\d{1,3}$/.test(String(code))) return done(false, "malformed grpc-status");
    if (code !== "0") return done(false, `grpc-status ${code}`);
    try {
      const status = servingStatus(Buffer.concat(parts));
      done(status === "SERVING", status);
    } catch (error) {
      done(false, reasonOf(error as Error));
    }
  });
}
