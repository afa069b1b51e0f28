// What the backends of a pool say of their load with their answers, as far as the configuration asks for it.
import { LOAD_REPORT_HEADER, parseLoadReport } from "@evenkeel/core/reports/load-report.ts";
import { type Fields, fieldOf, listOf } from "../messages/fields.ts";

export interface LoadReports {
  /** Metric → value; null when there is nothing that was asked for. */
  read(fields: Fields): Record<string, number> | null;
}

export function createLoadReports(metrics: readonly string[], onMalformed: () => void): LoadReports {
  const wanted = new Set(metrics);
  return {
    read(fields) {
      const told = fieldOf(fields, LOAD_REPORT_HEADER);
      if (told === undefined) return null;
      const single = told === listOf(fields, LOAD_REPORT_HEADER);
      const report = single ? parseLoadReport(told, wanted) : null;
      if (report === null) onMalformed();
      return report !== null && Object.keys(report).length > 0 ? report : null;
    },
  };
}
