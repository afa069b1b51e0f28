// What all requests of a gateway share.
import type { Scheduling } from "../scheduling/scheduling.ts";
import type { Origins } from "../upstream/origins.ts";
import type { Report } from "./report.ts";

export interface Surroundings {
  scheduling: Scheduling;
  origins: Pick<Origins, "get">;
  report: Report;
  /** ms, monotonic */
  clock: () => number;
}
