// A constant arrival rate for a while: no failure, and latency within its bound. RATE, DURATION, P95_MS.
import { check } from "k6";
import {
  arrivals,
  arrivalThresholds,
  commonOptions,
  commonThresholds,
  getFromNextGateway,
  seconds,
} from "./lib/gateways.js";

const RATE = Number(__ENV.RATE || 200);
const DURATION_SECONDS = seconds(__ENV.DURATION || "30s");

export const options = {
  ...commonOptions,
  scenarios: { steady: arrivals(RATE, DURATION_SECONDS) },
  thresholds: { ...commonThresholds, ...arrivalThresholds(RATE, DURATION_SECONDS) },
};

export default function () {
  check(getFromNextGateway(), { "answers 200": (r) => r.status === 200 });
}
