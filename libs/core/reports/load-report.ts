// What a backend says of its load in the response header `endpoint-load-metrics` (ORCA), as JSON or as text:
//   JSON {"cpu_utilization": 0.3, "named_metrics": {"queue": 4}}
//   TEXT cpu_utilization=0.3, named_metrics.queue=4
// Names are flat: the members of a map follow its name and a point. Nothing else is read: not the binary form.
import { METRIC_VALUE_MAX } from "../ledger/ledger.ts";

export const LOAD_REPORT_HEADER = "endpoint-load-metrics";

/** A longer report counts as malformed. */
const BYTES_MAX = 4_096;
/** Of a text; something wanted after them makes it malformed: it would be lost unnoticed. */
const ENTRIES_MAX = 256;
/** Not all that JavaScript takes for a number: no 0x10, no Infinity. */
const DECIMAL = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;

type Metrics = Record<string, number>;

/** Of those `wanted`; null for a report that cannot be read. */
export function parseLoadReport(text: string, wanted: ReadonlySet<string>): Metrics | null {
  if (text.length > BYTES_MAX) return null;
  if (text.startsWith("JSON ")) return fromJson(text.slice(5), wanted);
  return fromText(text.startsWith("TEXT ") ? text.slice(5) : text, wanted);
}

function fromText(text: string, wanted: ReadonlySet<string>): Metrics | null {
  const metrics: Metrics = {};
  const entries = text.split(",");
  if (entries.slice(ENTRIES_MAX).some((entry) => wanted.has(nameOf(entry)))) return null;
  for (const entry of entries.slice(0, ENTRIES_MAX)) {
    const sign = entry.search(/[=:]/);
    const value = entry.slice(sign + 1).trim();
    const number = DECIMAL.test(value) ? Number(value) : Number.NaN;
    if (sign < 1 || value === "" || !take(metrics, nameOf(entry), number, wanted)) return null;
  }
  return metrics;
}

const nameOf = (entry: string): string => (entry.split(/[=:]/, 1)[0] as string).trim();

function fromJson(text: string, wanted: ReadonlySet<string>): Metrics | null {
  let report: unknown;
  try {
    report = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(report)) return null;
  const metrics: Metrics = {};
  for (const [field, value] of Object.entries(report)) {
    const name = snakeCase(field);
    if (isObject(value)) {
      for (const [key, one] of Object.entries(value)) {
        if (!take(metrics, `${name}.${key}`, one, wanted)) return null;
      }
    } else if (!take(metrics, name, value, wanted)) return null;
  }
  return metrics;
}

/** False where a metric that is wanted has no usable value. */
function take(metrics: Metrics, name: string, value: unknown, wanted: ReadonlySet<string>): boolean {
  if (!wanted.has(name)) return true;
  if (typeof value !== "number" || !(Math.abs(value) <= METRIC_VALUE_MAX)) return false;
  metrics[name] = value;
  return true;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The usual JSON form of protocol buffers writes cpuUtilization. */
const snakeCase = (field: string): string => field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
