// Connections to backends: one client per origin and settings, made when a request first needs it and kept over
// configurations that leave both as they are. One that is dropped ends its requests and closes.
import { authorityOf, backendAddress } from "@evenkeel/core/config/backend-url.ts";
import type { Pool } from "@evenkeel/core/config/resolve.ts";
import { CERTIFICATE_POLL_MS } from "../listeners/tls-contexts.ts";
import type { BackendEvents, Fault, Origin, Outgoing, OutgoingRequest } from "../messages/outgoing.ts";
import type { OriginSettings } from "./connect.ts";
import { Http1Client } from "./http1-client.ts";
import { Http2Client } from "./http2-client.ts";
import { Sweep } from "./sweep.ts";
import { TlsFiles, type TlsFilesWatcher } from "./tls-files.ts";

export interface OriginsOptions {
  /** ms, monotonic */
  clock: () => number;
  /** Told of TLS files that change. */
  watcher: TlsFilesWatcher;
}

export interface Origins {
  /** @param url of a backend of that pool, http or https */
  get(pool: string, url: string): Origin;
  /**
   * The pools of a new configuration. Reads their TLS files, which takes a moment; later they are read again whenever
   * they change: new connections use the new ones, requests on old ones end there.
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
  /** Null: no backend of it is spoken to by TLS. */
  files: TlsFiles | null;
  byUrl: Map<string, Origin>;
}

export function createOrigins({ clock, watcher }: OriginsOptions): Origins {
  const sweep = new Sweep(clock);
  /** By all that makes connections differ, so that pools share those that do not. */
  const clients = new Map<string, Client>();
  let pools = new Map<string, PoolOrigins>();
  let closed = false;
  let looking = false;

  const renew = (pool: PoolOrigins) => {
    pool.byUrl.clear();
    dropUnused(clients, pools);
  };
  const look = async () => {
    if (looking) return; // at files that take their time
    looking = true;
    for (const pool of pools.values()) {
      if (await pool.files?.look(() => !closed && pools.get(pool.settings.name) === pool)) renew(pool);
    }
    looking = false;
  };
  const poll = setInterval(() => void look(), CERTIFICATE_POLL_MS).unref();

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
        const { name, tls, backends } = settings;
        const secure = backends.some(({ url }) => url.startsWith("https:"));
        const files = secure
          ? new TlsFiles(name, tls, known.get(name)?.files?.material ?? null, watcher)
          : null;
        if (files?.error) errors.push(files.error);
        pools.set(name, { settings, files, byUrl: new Map() });
      }
      for (const [name, { files }] of known) {
        if (files !== null && !pools.get(name)?.files) watcher.onTlsState(name, null);
      }
      dropUnused(clients, pools);
      return errors;
    },
    close() {
      closed = true;
      clearInterval(poll);
      pools = new Map();
      dropUnused(clients, pools);
    },
  };
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

function settingsOf({ settings, files }: PoolOrigins, url: string): OriginSettings | FaultyOrigin {
  const address = backendAddress(url);
  if (address === null) return new FaultyOrigin("unresolved", `not the url of a backend: ${url}`);
  const { scheme, host, port } = address;
  if (scheme !== "http" && scheme !== "https") {
    return new FaultyOrigin("dropped", `no HTTP is spoken to backends of ${scheme}://`);
  }
  const tls = scheme === "https" ? (files?.material ?? null) : null;
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

export const SILENT: TlsFilesWatcher = { onTlsState() {}, onTlsReload() {} };

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
