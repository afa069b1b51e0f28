// What the backends of a pool say of their load with their answers, as far as the configuration asks for it.
import type { IncomingHttpHeaders } from "node:http";
import { LOAD_REPORT_HEADER, parseLoadReport } from "@evenkeel/core/reports/load-report.ts";

export interface LoadReports {
  /** Metric → value; null when there is nothing that was asked for. */
  read(headers: IncomingHttpHeaders): Record<string, number> | null;
}

export function createLoadReports(metrics: readonly string[], onMalformed: () => void): LoadReports {
  const wanted = new Set(metrics);
  return {
    read(headers) {
      const told = headers[LOAD_REPORT_HEADER];
      if (told === undefined) return null;
      const report = typeof told === "string" ? parseLoadReport(told, wanted) : null;
      if (report === null) onMalformed();
      return report !== null && Object.keys(report).length > 0 ? report : null;
    },
  };
}
