// What a gateway does about one pool, as its client does it, but without sockets and timers: the test says when.
import type { Reply, Statement } from "@evenkeel/core/ledger/ledger.ts";
import { createRow } from "../row.ts";

export type PretendGateway = ReturnType<typeof createPretendGateway>;

export function createPretendGateway(id: string, send: (statement: Statement) => void) {
  const row = createRow();
  const open: string[] = [];
  let seq = 0;
  let full = true;
  let waiting = 0;
  /** How many it wants, and how many of those have been served otherwise meanwhile. */
  let inFlight: { seq: number; wants: number; served: number } | null = null;

  const failed = () => {
    full = true;
    inFlight = null;
  };

  const take = (backend: string) => {
    row.took(backend);
    open.push(backend);
  };

  return {
    id,
    row,
    take,
    /** As soon as no other settle is in flight. */
    state(wants: number) {
      waiting += wants;
      if (inFlight) return;
      seq += 1;
      inFlight = { seq, wants: waiting, served: 0 };
      const said = { full, ...row.take(full), wants: Array.from({ length: waiting }, () => ({})) };
      full = false;
      waiting = 0;
      send({ gateway: id, seq, ...said });
    },
    stateInFull() {
      failed();
      this.state(0);
    },
    asks: (about: number) => inFlight?.seq === about,
    answer(to: number, reply: Reply) {
      if (!inFlight || inFlight.seq !== to) return;
      const { served } = inFlight;
      if (reply.status === "stale") return failed();
      inFlight = null;
      if (reply.resync) full = true;
      for (const [i, backend] of reply.picks.entries()) {
        if (backend === null) continue;
        if (i < served) row.declined(backend);
        else {
          row.granted(backend);
          open.push(backend);
        }
      }
    },
    /** No request waits for the settle in flight any longer. */
    late(backend: string) {
      if (!inFlight) return;
      for (; inFlight.served < inFlight.wants; inFlight.served += 1) take(backend);
    },
    timeOut() {
      if (inFlight) failed();
    },
    release(at: number) {
      const [backend] = open.splice(at % Math.max(1, open.length), 1);
      if (backend !== undefined) row.released(backend, "success", 5);
    },
  };
}
