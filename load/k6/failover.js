// A backend dies under constant arrivals: no client may notice.
//
// With CONTROL_URL the script itself posts `kill` and later `revive` for the backend VICTIM, and also checks when that
// backend stops and starts to be picked. Without, it says when to kill one by hand, and checks the answers only.
import { check } from "k6";
import exec from "k6/execution";
import http from "k6/http";
import { Counter } from "k6/metrics";
import {
  arrivals,
  arrivalThresholds,
  backendOf,
  commonOptions,
  commonThresholds,
  getFromNextGateway,
  seconds,
} from "./lib/gateways.js";

const RATE = Number(__ENV.RATE || 500);
const DURATION_SECONDS = seconds(__ENV.DURATION || "30s");
const CONTROL_URL = __ENV.CONTROL_URL || "";
const VICTIM = __ENV.VICTIM || "backend-1";

const KILL_AT_SECONDS = Math.round(DURATION_SECONDS / 3);
const REVIVE_AT_SECONDS = Math.round((DURATION_SECONDS * 2) / 3);
/** From its death to the last pick on any gateway. */
const NOTICED_WITHIN_MS = 1_000;

/** Answers in the name of the victim, to requests sent later than NOTICED_WITHIN_MS after its death. */
const fromTheDead = new Counter("victim_answers_while_dead");
const fromTheRevived = new Counter("victim_answers_after_revival");

const once = (name, startSeconds) => ({
  executor: "per-vu-iterations",
  vus: 1,
  iterations: 1,
  startTime: `${startSeconds}s`,
  exec: name,
});

const controlled = CONTROL_URL !== "";

export const options = {
  ...commonOptions,
  scenarios: {
    load: arrivals(RATE, DURATION_SECONDS),
    kill: once("kill", KILL_AT_SECONDS),
    ...(controlled ? { revive: once("revive", REVIVE_AT_SECONDS) } : {}),
  },
  thresholds: {
    ...commonThresholds,
    ...arrivalThresholds(RATE, DURATION_SECONDS),
    ...(controlled ? { [fromTheDead.name]: ["count==0"], [fromTheRevived.name]: ["count>0"] } : {}),
  },
};

export default function () {
  const sentMs = Date.now() - exec.scenario.startTime;
  const response = getFromNextGateway();
  check(response, { "answers 200": (r) => r.status === 200 });
  if (!controlled || backendOf(response) !== VICTIM) return;
  if (sentMs >= REVIVE_AT_SECONDS * 1000) fromTheRevived.add(1);
  else if (sentMs > KILL_AT_SECONDS * 1000 + NOTICED_WITHIN_MS) fromTheDead.add(1);
}

export function kill() {
  if (controlled) return control("kill");
  console.warn(
    `kill a backend now, with kill -9 or docker kill: ${DURATION_SECONDS - KILL_AT_SECONDS} s are left`,
  );
}

export function revive() {
  control("revive");
}

function control(action) {
  const response = http.post(`${CONTROL_URL}/${action}/${VICTIM}`);
  check(response, { [`could ${action} ${VICTIM}`]: (r) => r.status === 200 });
}
