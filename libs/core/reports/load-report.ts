// What a backend says of its load in the response header `endpoint-load-metrics` (ORCA), as JSON or as text:
//   JSON {"cpu_utilization": 0.3, "named_metrics": {"queue": 4}}
//   TEXT cpu_utilization=0.3, named_metrics.queue=4
// Names are flat: the members of a map follow its name and a point. Nothing else is read: not the binary form.

export const LOAD_REPORT_HEADER = "endpoint-load-metrics";

/** A longer report counts as malformed. */
const BYTES_MAX = 4_096;
const ENTRIES_MAX = 256;
/** Larger values, of either sign, count as none. */
const VALUE_MAX = 1e12;

type Metrics = Record<string, number>;

/** Of those `wanted`; null for a report that cannot be read. */
export function parseLoadReport(text: string, wanted: ReadonlySet<string>): Metrics | null {
  if (text.length > BYTES_MAX) return null;
  if (text.startsWith("JSON ")) return fromJson(text.slice(5), wanted);
  return fromText(text.startsWith("TEXT ") ? text.slice(5) : text, wanted);
}

function fromText(text: string, wanted: ReadonlySet<string>): Metrics | null {
  const metrics: Metrics = {};
  for (const entry of text.split(",", ENTRIES_MAX)) {
    const sign = entry.search(/[=:]/);
    const value = entry.slice(sign + 1).trim();
    if (sign < 1 || value === "" || !take(metrics, entry.slice(0, sign).trim(), Number(value), wanted))
      return null;
  }
  return metrics;
}

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
  if (typeof value !== "number" || !(Math.abs(value) <= VALUE_MAX)) return false;
  metrics[name] = value;
  return true;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The usual JSON form of protocol buffers writes cpuUtilization. */
const snakeCase = (field: string): string => field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
