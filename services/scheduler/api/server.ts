// The scheduler's API: one file per resource, put together here on the admin port.

import type { Ledger } from "@evenkeel/core/ledger/ledger.ts";
import type { Member } from "@evenkeel/core/wire/member.ts";
import type { ConfigStore } from "@evenkeel/ledger/config-store.ts";
import type { DeadLetterStore } from "@evenkeel/ledger/dead-letters.ts";
import type { Registrations } from "@evenkeel/ledger/registrations.ts";
import { createAdminServer, requireToken } from "@evenkeel/runtime/admin-server.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Metrics } from "@evenkeel/runtime/metrics.ts";
import swagger from "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import type { Batcher } from "../batching/batcher.ts";
import type { LogTail } from "../events/tail.ts";
import type { Reconciler } from "../reconcile/reconciler.ts";
import { addBackends } from "./backends.ts";
import { createChangeConfig } from "./change.ts";
import { closeInOrder } from "./closing.ts";
import { addConfig } from "./config.ts";
import { handleErrors } from "./errors.ts";
import { addEvents } from "./events.ts";
import { addMembers } from "./members.ts";
import { addNotifications } from "./notifications.ts";
import { createPoolView } from "./pool-view.ts";
import { addPools } from "./pools.ts";
import { addRegistrations } from "./registrations.ts";
import { addRoutes } from "./routes.ts";
import { addSettle } from "./settle.ts";
import { createSettleUpgrades } from "./settle-upgrade.ts";

export interface ApiOptions {
  registry: Metrics["registry"];
  notReady: () => string | null;
  log: Log;
  /** EVENKEEL_TOKEN, perhaps empty. */
  token: string;
  /** EVENKEEL_REGISTER_TOKEN, perhaps empty. */
  registerToken: string;
  batcher: Batcher;
  /** Over the connection for control traffic. */
  ledger: Ledger;
  configs: ConfigStore;
  registrations: Registrations;
  /** @param result `taken`, or the code it was refused with */
  onRegistration(result: string): void;
  reconciler: Pick<Reconciler, "reconcile" | "restore" | "known">;
  readMembers: () => Promise<Member[]>;
  tail: LogTail;
  deadLetters: DeadLetterStore;
}

export async function createApi(options: ApiOptions): Promise<FastifyInstance> {
  const { registry, notReady, log, token, batcher, ledger, configs, reconciler } = options;
  const settles = createSettleUpgrades({ batcher, token });
  const server = createAdminServer({ registry, notReady, upgrades: settles.accepts });
  // Schemas of answers describe; JSON.stringify serialises.
  server.setSerializerCompiler(() => JSON.stringify);
  handleErrors(server, log);
  closeInOrder(server, {
    close() {
      settles.close();
      options.tail.end();
    },
    destroy: settles.destroy,
  });
  await server.register(swagger, {
    openapi: {
      info: { title: "Evenkeel scheduler", version: "1" },
      components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
    },
  });
  server.get("/openapi.json", { schema: { hide: true } as object }, async () => server.swagger());

  const view = createPoolView({ ledger, configs, restore: reconciler.restore });
  const change = createChangeConfig({ configs, reconcile: reconciler.reconcile });
  const mayChange = requireToken(token);
  // Without a token settles are taken from anywhere: gateways stand on other machines.
  const maySettle = token === "" ? undefined : mayChange;
  addSettle(server, batcher, maySettle);
  settles.attach(server, maySettle);
  addPools(server, view, change, mayChange);
  addBackends(server, view, change, mayChange);
  addRoutes(server, change, mayChange);
  addConfig(server, change, mayChange);
  const { registrations, onRegistration, readMembers, registerToken } = options;
  const mayRegister = requireToken(token, registerToken);
  const registering = { registrations, onRegistration, known: reconciler.known, readMembers };
  addRegistrations(server, registering, mayRegister);
  addMembers(server, readMembers);
  addEvents(server, options.tail);
  addNotifications(server, options.deadLetters, mayChange);
  return server;
}
