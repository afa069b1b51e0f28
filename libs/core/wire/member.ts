// A running process of the cluster, as it announces itself.
export const ROLES = ["gateway", "scheduler", "health-monitor"] as const;
export type Role = (typeof ROLES)[number];

export interface Member {
  role: Role;
  /** Unique to one process lifetime. */
  id: string;
  /** Where its admin port (scheduler: its API) answers. */
  adminUrl: string;
  pid: number;
  startedAtMs: number;
}
