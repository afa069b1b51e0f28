// The kinds of faults: how each is done to one backend and undone, and what must hold of it.
import type { FaultyBackend } from "./backends.ts";
import type { Kind, KindResult } from "./kind.ts";

const FAULT_MS = 6_000;
const QUICK_MS = 4_000;
const FLAP_MS = 2_000;
const FLAPS = 5;
const LAST_PICK_MAX_MS = 100;
/** Three probes that fail: one comes within an interval, two more at the interval of doubt; each may take its timeout. */
const BY_PROBES_MAX_MS = 3_500;
const BY_TRAFFIC_MAX_MS = 1_000;

const nothingFails = {
  text: "no failed response",
  holds: ({ failures }: KindResult) => failures === 0,
};
const quick = {
  text: `no failed response, last pick ≤ ${LAST_PICK_MAX_MS} ms`,
  holds: ({ failures, lastPickMs }: KindResult) => failures === 0 && (lastPickMs ?? 0) <= LAST_PICK_MAX_MS,
};
const outWithin = (ms: number) => ({
  text: `no failed response, out ≤ ${ms} ms`,
  holds: ({ failures, outMs }: KindResult) => failures === 0 && outMs !== null && outMs <= ms,
});

const basis = {
  route: "usual",
  faultMs: FAULT_MS,
  quickMs: QUICK_MS,
  failsAfterMs: 0,
  shunned: true,
  bound: null,
} as const;
const behaving = (behaviour: "errors" | "slow" | "refusing" | "resetting") => ({
  inflict: (backend: FaultyBackend) => backend.behave(behaviour),
  lift: (backend: FaultyBackend) => backend.behave("well"),
});
const killing = {
  inflict: (backend: FaultyBackend) => backend.kill(),
  lift: (backend: FaultyBackend) => backend.restart(),
};
const freezing = {
  inflict: (backend: FaultyBackend) => backend.freeze(),
  lift: (backend: FaultyBackend) => backend.thaw(),
};

export const KINDS: Record<string, Kind> = {
  // First, while no other backend is in slow start.
  slow: {
    ...basis,
    ...behaving("slow"),
    title: "10 × slower",
    backend: 8,
    failsAfterMs: null,
    shunned: false,
    bound: nothingFails,
  },
  killed: { ...basis, title: "killed (`kill -9`)", backend: 1, ...killing, bound: quick },
  refusing: { ...basis, title: "refusing connections", backend: 2, ...behaving("refusing"), bound: quick },
  errors: { ...basis, title: "answering 500", backend: 3, ...behaving("errors"), bound: quick },
  resetting: { ...basis, title: "resetting in mid-answer", backend: 4, ...behaving("resetting") },
  frozen: {
    ...basis,
    ...freezing,
    title: "frozen (`SIGSTOP`), responseHeadersMs 500",
    backend: 5,
    route: "prompt",
    failsAfterMs: 500,
    bound: outWithin(BY_TRAFFIC_MAX_MS),
  },
  "frozen-1000": {
    ...basis,
    ...freezing,
    title: "frozen, responseHeadersMs 1000",
    backend: 6,
    failsAfterMs: 1_000,
    bound: outWithin(BY_PROBES_MAX_MS),
  },
  "frozen-probes": {
    ...basis,
    ...freezing,
    title: "frozen, responseHeadersMs 30000: probes alone",
    backend: 7,
    route: "patient",
    failsAfterMs: null,
    bound: outWithin(BY_PROBES_MAX_MS),
  },
  flapping: {
    ...basis,
    title: "flapping: refuses 2 s, serves 2 s",
    backend: 8,
    faultMs: FLAP_MS * (2 * FLAPS - 1),
    quickMs: FLAP_MS * (2 * FLAPS - 1),
    ...behaving("refusing"),
    inflict: flap,
    shunned: false,
    bound: nothingFails,
  },
};

/** Down first, and down last; in between it serves as long as it does not. */
async function flap(backend: FaultyBackend): Promise<number> {
  const atMs = await backend.behave("refusing");
  let turns = 2 * FLAPS - 2;
  const timer = setInterval(() => {
    turns -= 1;
    if (turns === 0) clearInterval(timer);
    void backend.behave(turns % 2 === 0 ? "refusing" : "well");
  }, FLAP_MS);
  return atMs;
}
