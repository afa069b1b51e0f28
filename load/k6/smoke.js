// Does it work at all? A few clients, every gateway in every iteration, all answers checked.
import { check, sleep } from "k6";
import {
  backendOf,
  commonOptions,
  commonThresholds,
  gateways,
  getFrom,
  getTogether,
  seconds,
} from "./lib/gateways.js";

/** Open at once towards one gateway: enough that one backend of several cannot be the right choice for all. */
const TOGETHER = 12;

export const options = {
  ...commonOptions,
  scenarios: {
    smoke: {
      executor: "constant-vus",
      vus: 2,
      duration: `${seconds(__ENV.DURATION || "10s")}s`,
      gracefulStop: "15s",
    },
  },
  // http.batch opens six per host unless told.
  batchPerHost: TOGETHER,
  thresholds: commonThresholds,
};

export default function () {
  for (const gateway of gateways) {
    const response = getFrom(gateway);
    check(response, {
      "answers 200": (r) => r.status === 200,
      "names the backend (needs debugHeaders)": (r) => backendOf(r) !== null,
    });
    check(getTogether(gateway, TOGETHER), {
      "answers all 200": (rs) => rs.every((r) => r.status === 200),
      "spreads requests open together": (rs) => new Set(rs.map(backendOf)).size > 1,
    });
  }
  sleep(0.2);
}
