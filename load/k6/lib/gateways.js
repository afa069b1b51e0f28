// What every script shares: where the gateways are, one request to them, and the bounds that hold under any load.
import exec from "k6/execution";
import http from "k6/http";

const TARGETS = __ENV.TARGETS || "http://127.0.0.1:8080,http://127.0.0.1:8081";
const PATH = __ENV.PATH_TO_GET || "/";
const P95_MS = Number(__ENV.P95_MS || 500);

/** Longest a script runs, whatever DURATION says. */
const MAX_SECONDS = 600;

export const gateways = TARGETS.split(",").map((target) => target.trim().replace(/\/$/, ""));

/** Counts in turn over the whole test, so that each gateway gets the same number of requests. */
export function getFromNextGateway() {
  return getFrom(gateways[exec.scenario.iterationInTest % gateways.length]);
}

export function getFrom(gateway) {
  return http.get(gateway + PATH, { tags: { name: gateway } });
}

/** `count` requests open at the same time. */
export function getTogether(gateway, count) {
  const request = ["GET", gateway + PATH, null, { tags: { name: gateway } }];
  return http.batch(Array.from({ length: count }, () => request));
}

/** The id of the backend that answered, or null where `debugHeaders` is off. */
export function backendOf(response) {
  return response.headers["X-Evenkeel-Backend"] || null;
}

/** `45s` or `2m` as seconds, at most ten minutes. */
export function seconds(text) {
  const parts = /^([0-9]+)(s|m)$/.exec(text);
  if (parts === null) throw new Error(`a duration is written 30s or 2m, got "${text}"`);
  return Math.min(Number(parts[1]) * (parts[2] === "m" ? 60 : 1), MAX_SECONDS);
}

/** Open model: requests arrive at `rate` however long the answers take, as they do from real clients. */
export function arrivals(rate, durationSeconds) {
  return {
    executor: "constant-arrival-rate",
    rate,
    timeUnit: "1s",
    duration: `${durationSeconds}s`,
    preAllocatedVUs: Math.ceil(rate / 2) + 10,
    maxVUs: rate * 2 + 10,
    gracefulStop: "15s",
  };
}

export const commonOptions = {
  discardResponseBodies: true,
  // In compose one name stands for all gateways: ask again often, and take the addresses in turn.
  dns: { ttl: "1s", select: "roundRobin" },
  summaryTrendStats: ["avg", "p(50)", "p(95)", "p(99)", "max"],
};

export const commonThresholds = {
  http_req_failed: ["rate==0"],
  checks: ["rate==1"],
  http_req_duration: [`p(95)<${P95_MS}`],
};

/** More than 1 % of the arrivals not sent means that the load generator was too slow: the run proves nothing. */
export function arrivalThresholds(rate, durationSeconds) {
  return { dropped_iterations: [`count<${Math.ceil((rate * durationSeconds) / 100)}`] };
}
