import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { describe, expect, it } from "vitest";
import { createStreamReport, type StreamFinished } from "./report.ts";

const finished: StreamFinished = {
  listener: "db",
  client: "192.0.2.1",
  route: "r",
  pool: "p",
  backend: "b",
  bytesIn: 1,
  bytesOut: 2,
  durationMs: 1.23456,
  connectMs: 0.98765,
  attempts: 1,
  result: "ended",
  reason: "",
};

describe("createStreamReport", () => {
  it("counts by listener, and forgets listeners that are gone", async () => {
    const metrics = createMetrics();
    const report = createStreamReport(metrics, null);
    report.keep(new Set(["db", "dns"]));
    report.finished(finished);
    report.finished({ ...finished, listener: "dns", result: "evicted" });
    report.dropped("dns", "waiting");
    report.series("db").bytesIn.value += 7;
    report.series("db").bytesOut.value += 8;
    report.open("db", "tcp", 3);
    report.open("dns", "udp", 4);
    const text = await metrics.registry.metrics();
    for (const line of [
      'evenkeel_gateway_streams_total{listener="db",result="ended"} 1',
      'evenkeel_gateway_streams_total{listener="dns",result="evicted"} 1',
      'evenkeel_gateway_stream_bytes_total{listener="db",direction="in"} 7',
      'evenkeel_gateway_stream_bytes_total{listener="db",direction="out"} 8',
      'evenkeel_gateway_datagrams_dropped_total{listener="dns",reason="waiting"} 1',
      'evenkeel_gateway_streams{listener="db"} 3',
      'evenkeel_gateway_udp_sessions{listener="dns"} 4',
    ]) {
      expect(text).toContain(line);
    }
    report.keep(new Set());
    expect(await metrics.registry.metrics()).not.toMatch(/listener="(?:db|dns)"/);
  });

  it("writes one line each, with µs as the finest digit, when asked for", () => {
    const lines: unknown[] = [];
    const log = { info: (line: unknown, text: string) => lines.push([line, text]) };
    createStreamReport(createMetrics(), log as never).finished(finished);
    expect(lines).toEqual([[{ ...finished, durationMs: 1.235, connectMs: 0.988 }, "stream"]]);
  });
});
