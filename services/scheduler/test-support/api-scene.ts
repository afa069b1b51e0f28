// The whole API on a real socket, over the reference ledger and a configuration in memory.
import type { AddressInfo } from "node:net";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import type { Ledger } from "@evenkeel/core/ledger/ledger.ts";
import { createModelLedger } from "@evenkeel/core/ledger/model.ts";
import type { Member } from "@evenkeel/core/wire/member.ts";
import type { SettleRequest } from "@evenkeel/core/wire/settle.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { createApi } from "../api/server.ts";
import { createBatcher } from "../batching/batcher.ts";
import { createLogTail } from "../events/tail.ts";
import { createReconciler } from "../reconcile/reconciler.ts";
import { createMemoryConfigStore } from "./memory-config-store.ts";
import { createMemoryDeadLetters } from "./memory-dead-letters.ts";
import { createMemoryRegistrations } from "./memory-registrations.ts";

export const CONFIG: ConfigDocument = {
  listeners: [{ name: "web", protocol: "http", port: 8080 }],
  routes: [
    { name: "shop", match: { path: "/shop/*" }, proxy: "dynamic", pool: "shop" },
    {
      name: "billing",
      match: { path: "/billing/*" },
      proxy: "static",
      pool: "billing",
      backend: "billing-1",
    },
  ],
  pools: [
    {
      name: "shop",
      backends: [
        { id: "shop-1", url: "http://127.0.0.1:9001", weight: 2 },
        { id: "shop-2", url: "http://127.0.0.1:9002", zone: "eu" },
      ],
    },
    { name: "billing", backends: [{ id: "billing-1", url: "http://127.0.0.1:9003" }] },
    { name: "spare", backends: [] },
  ],
};

export const MEMBER: Member = {
  role: "gateway",
  id: "gateway-1.abc123",
  adminUrl: "http://127.0.0.1:7701",
  pid: 1,
  startedAtMs: 1,
};

const NOW_MS = 1_700_000_000_000;

export const settleBody = (more: Partial<SettleRequest> = {}): SettleRequest => ({
  gateway: "g1",
  seq: 1,
  full: true,
  held: {},
  outcomes: {},
  wants: [{}],
  version: 0,
  refresh: false,
  ...more,
});

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: answers are what the tests are about
  body: any;
}

export interface SceneOptions {
  token?: string;
  registerToken?: string;
  config?: ConfigDocument | null;
  members?: Member[];
  /** Stands between the API and the reference ledger. */
  wrap?: (ledger: Ledger) => Ledger;
}

export async function startApi({
  token = "",
  registerToken = "",
  config = CONFIG,
  members = [MEMBER],
  wrap = (ledger) => ledger,
}: SceneOptions = {}) {
  const configs = createMemoryConfigStore();
  if (config) await configs.apply(config, 0);
  const results: string[] = [];
  const registrations = createMemoryRegistrations(() => NOW_MS);
  const model = createModelLedger(() => NOW_MS);
  const ledger = wrap(model);
  const reconciler = createReconciler({
    configs,
    ledger: model,
    seed: async () => null,
    onReconciled: () => {},
    onProblem: () => {},
  });
  await reconciler.reconcile();
  const tail = createLogTail({ ledger, configs });
  const deadLetters = createMemoryDeadLetters();
  const observer = { calling: () => () => {}, decided: () => {}, failed: () => {} };
  const server = await createApi({
    registry: createMetrics().registry,
    notReady: reconciler.lacking,
    log: createLog("silent", { role: "scheduler", id: "test" }),
    token,
    registerToken,
    registrations,
    onRegistration: (result) => results.push(result),
    batcher: createBatcher({ ledger, restore: reconciler.restore, observer }),
    ledger,
    configs,
    reconciler,
    readMembers: async () => members,
    tail,
    deadLetters,
  });
  await server.listen({ host: "127.0.0.1", port: 0 });
  const { port } = server.server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;

  /** @param body an object becomes JSON; a string goes out as it is, as JSON too */
  const ask = async (
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> => {
    const response = await fetch(url + path, {
      method,
      headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const json = response.headers.get("content-type")?.includes("json") ?? false;
    return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : text };
  };

  return {
    url,
    port,
    server,
    ask,
    settle: (pool: string, body: unknown) => ask("POST", `/v1/pools/${pool}/settle`, body),
    model,
    configs,
    registrations,
    /** Of all attempts to register that came so far. */
    results,
    tail,
    deadLetters,
    async close() {
      reconciler.close();
      await server.close();
    },
  };
}

export type ApiScene = Awaited<ReturnType<typeof startApi>>;
