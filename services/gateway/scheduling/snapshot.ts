// A pool as this gateway last saw it, and the pick it makes on that when the scheduler does not answer: two choices,
// drawn by weight, on the snapshot plus its own requests. Never least-connections: on a stale view every gateway
// would herd onto the same backend (Mitzenmacher, "How useful is old information?", 2000).
import type { Pool } from "@evenkeel/core/config/resolve.ts";
import { type Health, isPanic, type Mode } from "@evenkeel/core/health/state.ts";
import type { PoolState } from "@evenkeel/core/ledger/ledger.ts";
import type { BackendChange } from "@evenkeel/core/wire/events.ts";

/** Draws per choice before giving up on finding one that is not excluded; then the rest is scanned. */
const DRAWS_MAX = 4;

interface Known {
  id: string;
  url: string;
  weight: number;
  maxInflight: number | null;
  health: Health;
  mode: Mode;
  /** In flight through the other gateways when last seen. */
  others: number;
}

export interface Snapshot {
  readonly version: number;
  /** More than half of the active backends are unhealthy, so all of them are used. */
  readonly panic: boolean;
  url(backend: string): string | undefined;
  eligible(): string[];
  /** Keeps what is known of backends that stay; takes newcomers for healthy until told otherwise. */
  configure(pool: Pool): void;
  /** @param counted what the ledger counts for this gateway, to be told apart from the others' */
  replace(state: PoolState, counted: ReadonlyMap<string, number>): void;
  /** How many backends. */
  readonly size: number;
  /** False when a version was missed: what the event says is taken over, the version stays, so it is read again. */
  apply(version: number, changes: readonly BackendChange[]): boolean;
  choose(held: ReadonlyMap<string, number>, exclude: readonly string[], random: () => number): string | null;
}

export function createSnapshot(): Snapshot {
  let version = 0;
  let backends = new Map<string, Known>();
  let panic = false;
  let candidates: Known[] = [];
  /** Running sum of the candidates' weights, for a draw by weight. */
  let sums: number[] = [];

  const index = () => {
    const all = [...backends.values()];
    panic = isPanic(all);
    candidates = all.filter((b) => b.mode === "active" && (panic || b.health === "healthy"));
    let sum = 0;
    sums = candidates.map((b) => {
      sum += b.weight;
      return sum;
    });
  };

  const draw = (random: () => number): Known => {
    const at = random() * (sums[sums.length - 1] as number);
    let low = 0;
    let high = sums.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((sums[middle] as number) > at) high = middle;
      else low = middle + 1;
    }
    return candidates[low] as Known;
  };

  return {
    get version() {
      return version;
    },
    get panic() {
      return panic;
    },
    url: (backend) => backends.get(backend)?.url,
    eligible: () => candidates.map((b) => b.id).sort(),
    configure(pool) {
      backends = new Map(pool.backends.map((b) => [b.id, merged(b, backends.get(b.id))]));
      index();
    },
    get size() {
      return backends.size;
    },
    replace(state, counted) {
      version = state.version;
      backends = new Map(
        state.backends.map((b) => [
          b.id,
          { ...b, others: Math.max(0, b.inflight - (counted.get(b.id) ?? 0)) },
        ]),
      );
      index();
    },
    apply(next, changes) {
      for (const change of changes) {
        const known = backends.get(change.backend);
        if (!known) continue;
        known.health = change.health;
        known.mode = change.mode;
      }
      index();
      if (next !== version + 1) return false;
      version = next;
      return true;
    },
    choose(held, exclude, random) {
      if (candidates.length === 0) return null;
      const own = (b: Known) => held.get(b.id) ?? 0;
      const load = (b: Known) => (b.others + own(b) + 1) / b.weight;
      const hasRoom = (b: Known, n: number) =>
        !exclude.includes(b.id) && n < (b.maxInflight ?? Number.POSITIVE_INFINITY);
      const usable = (b: Known) => hasRoom(b, b.others + own(b));
      let best: Known | null = null;
      for (let drawn = 0, draws = 0; drawn < 2 && draws < 2 * DRAWS_MAX; draws += 1) {
        const next = draw(random);
        if (!usable(next)) continue;
        drawn += 1;
        if (best === null || load(next) < load(best)) best = next;
      }
      best ??= candidates.find(usable) ?? null;
      // Where all seem full by what the others once had, that is too old to refuse by: only our own still counts.
      best ??= candidates.find((b) => hasRoom(b, own(b))) ?? null;
      return best?.id ?? null;
    },
  };
}

const merged = (backend: Pool["backends"][number], known: Known | undefined): Known => ({
  id: backend.id,
  url: backend.url,
  weight: backend.weight,
  maxInflight: backend.maxInflight,
  health: known?.url === backend.url ? known.health : "healthy",
  mode: known?.mode ?? "active",
  others: known?.others ?? 0,
});
