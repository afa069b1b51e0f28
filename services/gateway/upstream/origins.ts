// Connections to backends: one client per origin and settings, made when a request first needs it and kept over
// configurations that leave both as they are. One that is dropped ends its requests and closes.
import { authorityOf, backendAddress } from "@evenkeel/core/config/backend-url.ts";
import type { Pool } from "@evenkeel/core/config/resolve.ts";
import type { BackendEvents, Fault, Origin, Outgoing, OutgoingRequest } from "../messages/outgoing.ts";
import { readTlsMaterial, TlsFileError, type TlsMaterial } from "./backend-tls.ts";
import type { OriginSettings } from "./connect.ts";
import { Http1Client } from "./http1-client.ts";
import { Http2Client } from "./http2-client.ts";
import { Sweep } from "./sweep.ts";

export interface OriginsOptions {
  /** ms, monotonic */
  clock: () => number;
}

export interface Origins {
  /** @param url of a backend of that pool, http or https */
  get(pool: string, url: string): Origin;
  /**
   * The pools of a new configuration. Reads their TLS files.
   * @returns what is wrong with them; such a pool keeps those it had, and without any is not connected to
   */
  configure(pools: readonly Pool[]): string[];
  close(): void;
}

/** Of both protocols. */
interface Client extends Origin {
  /** Takes no more requests, ends those it has, and closes. */
  close(): void;
}

/** What is known of a pool. */
interface PoolOrigins {
  settings: Pool;
  /** Null: its files cannot be used. */
  material: TlsMaterial | null;
  byUrl: Map<string, Origin>;
}

export function createOrigins({ clock }: OriginsOptions): Origins {
  const sweep = new Sweep(clock);
  /** By all that makes connections differ, so that pools share those that do not. */
  const clients = new Map<string, Client>();
  let pools = new Map<string, PoolOrigins>();
  let closed = false;

  const open = (pool: PoolOrigins, url: string): Origin => {
    const found = settingsOf(pool, url);
    if ("fault" in found) return found;
    const key = keyOf(pool, found);
    let client = clients.get(key);
    if (!client) {
      client = pool.settings.http === "2" ? new Http2Client(found, sweep) : new Http1Client(found, sweep);
      clients.set(key, client);
    }
    return client;
  };

  return {
    get(name, url) {
      const pool = pools.get(name);
      if (pool === undefined || closed) return DROPPED;
      let origin = pool.byUrl.get(url);
      if (origin === undefined) {
        origin = open(pool, url);
        pool.byUrl.set(url, origin);
      }
      return origin;
    },
    configure(next) {
      const errors: string[] = [];
      const known = pools;
      pools = new Map();
      for (const settings of next) {
        const material = materialOf(settings, known.get(settings.name)?.material ?? null, errors);
        pools.set(settings.name, { settings, material, byUrl: new Map() });
      }
      dropUnused(clients, pools);
      return errors;
    },
    close() {
      closed = true;
      pools = new Map();
      dropUnused(clients, pools);
    },
  };
}

function materialOf(pool: Pool, before: TlsMaterial | null, errors: string[]): TlsMaterial | null {
  if (!pool.backends.some(({ url }) => url.startsWith("https:"))) return null;
  try {
    return readTlsMaterial(pool.tls);
  } catch (error) {
    if (!(error instanceof TlsFileError)) throw error;
    const instead = before === null ? "it cannot be connected to" : "what it had stays in force";
    errors.push(`pool "${pool.name}": ${error.message}; ${instead}`);
    return before;
  }
}

function dropUnused(clients: Map<string, Client>, pools: ReadonlyMap<string, PoolOrigins>): void {
  const used = new Set<string>();
  for (const pool of pools.values()) {
    for (const { url } of pool.settings.backends) {
      const found = settingsOf(pool, url);
      if (!("fault" in found)) used.add(keyOf(pool, found));
    }
  }
  for (const [key, client] of clients) {
    if (used.has(key)) continue;
    clients.delete(key);
    client.close();
  }
}

function settingsOf({ settings, material }: PoolOrigins, url: string): OriginSettings | FaultyOrigin {
  const address = backendAddress(url);
  if (address === null) return new FaultyOrigin("unresolved", `not the url of a backend: ${url}`);
  const { scheme, host, port } = address;
  if (scheme !== "http" && scheme !== "https") {
    return new FaultyOrigin("dropped", `no HTTP is spoken to backends of ${scheme}://`);
  }
  const tls = scheme === "https" ? material : null;
  if (scheme === "https" && tls === null) {
    return new FaultyOrigin("tls", "the TLS files of the pool cannot be used");
  }
  const { connectTimeoutMs, idleConnectionMs, maxConnections, sendProxyProtocol } = settings;
  const kept = { connectTimeoutMs, idleConnectionMs, maxConnections, sendProxyProtocol };
  return { scheme, host, port, tls, ...kept };
}

function keyOf({ settings }: PoolOrigins, { tls, ...others }: OriginSettings): string {
  const { scheme, host, port, ...rest } = others;
  const origin = `${scheme}://${authorityOf({ scheme, host, port })}`;
  return JSON.stringify([origin, settings.http, tls?.digest ?? null, Object.values(rest)]);
}

/** Answers every request with one fault. */
class FaultyOrigin implements Origin {
  readonly fault: Fault;
  readonly #detail: string;

  constructor(fault: Fault, detail: string) {
    this.fault = fault;
    this.#detail = detail;
  }

  send(_request: OutgoingRequest, events: BackendEvents): Outgoing {
    const attempt = new FaultyAttempt();
    process.nextTick(() => {
      if (!attempt.over) events.onBackendError(this.fault, this.#detail);
    });
    return attempt;
  }
}

class FaultyAttempt implements Outgoing {
  readonly sent = false;
  over = false;

  write(): boolean {
    return true;
  }
  end(): void {}
  pause(): void {}
  resume(): void {}
  abort(): void {
    this.over = true;
  }
}

const DROPPED = new FaultyOrigin("dropped", "the configuration has no such pool any more");
