// What the admin API shows of a pool: the ledger's state, and what follows from it.
import type { BackendState, PoolState, Rows } from "../ledger/ledger.ts";

export interface ShownBackend extends BackendState {
  /** Draining, and nothing is in flight any more: it may go. */
  drained: boolean;
}

export interface ShownPool extends Omit<PoolState, "backends"> {
  backends: ShownBackend[];
  /** Only where it was asked for. */
  rows?: Rows;
}

export const shownPool = (state: PoolState): ShownPool => ({
  ...state,
  backends: state.backends.map((backend) => ({
    ...backend,
    drained: backend.mode === "draining" && backend.inflight === 0,
  })),
});
