// Listeners of HTTP: HTTP/1.1 and HTTP/2 on one port, in plain text or TLS, and how they end without loss.
import type { Socket } from "node:net";
import type { Listener } from "@evenkeel/core/config/resolve.ts";
import type { Handler } from "../messages/incoming.ts";
import { trustPeers } from "../proxy/forwarding.ts";
import {
  type Acceptor,
  type AcceptProxyHeader,
  type AcceptSettings,
  type Dropped,
  openAcceptor,
  type Ready,
} from "./accept.ts";
import type { Bind, SocketAddress } from "./bind.ts";
import type { HttpConnection, HttpServing } from "./http-connection.ts";
import { serveHttp1 } from "./http1-connection.ts";
import { serveHttp2 } from "./http2-connection.ts";
import type { Opener, OpenServer } from "./opened.ts";
import { createTlsContexts, type TlsContexts, type TlsWatcher } from "./tls-contexts.ts";

/**
 * Once a listener accepts no more, its idle connections are served this much longer: a request may be on its way, and
 * whoever sends one is told with its answer to use the connection no more.
 */
const IDLE_LINGER_MS = 500;

export interface HttpListenerOptions {
  bind: Bind;
  handler: Handler;
  /** Told of each answer to what could not be parsed as a request. */
  onRefused: (status: number) => void;
  onDropped: (listener: string, why: Dropped) => void;
  acceptProxyHeader: AcceptProxyHeader;
  tls: TlsWatcher;
}

const SERVE = { 1: serveHttp1, 2: serveHttp2 } as const;

export const createHttpOpener =
  (options: HttpListenerOptions): Opener =>
  async (listener, port) => {
    const tls = await openTls(listener, options.tls);
    const open = new HttpListener(options, listener, tls);
    try {
      await open.listen(listener, port);
    } catch (error) {
      tls?.close();
      throw error;
    }
    return open;
  };

/** Of ALPN, the best first. */
const protocolsOf = ({ http2 }: Listener): string[] => (http2 ? ["h2", "http/1.1"] : ["http/1.1"]);

async function openTls(listener: Listener, watcher: TlsWatcher): Promise<TlsContexts | null> {
  const { name, tls } = listener;
  if (tls === null) return null;
  return createTlsContexts({ name, tls, protocols: protocolsOf(listener), ...watcher });
}

class HttpListener implements OpenServer {
  readonly #options: HttpListenerOptions;
  readonly #endpoint: { name: string; closing: boolean };
  readonly #serving = new Map<Socket, HttpConnection>();
  #acceptor: Acceptor | null = null;
  #http: HttpServing;
  #settings: AcceptSettings;

  constructor(options: HttpListenerOptions, listener: Listener, tls: TlsContexts | null) {
    this.#options = options;
    this.#endpoint = { name: listener.name, closing: false };
    this.#http = this.#servingOf(listener);
    this.#settings = settingsOf(listener, tls);
  }

  async listen(at: SocketAddress, port: number): Promise<void> {
    this.#acceptor = await openAcceptor(at, port, {
      bind: this.#options.bind,
      settings: () => this.#settings,
      acceptProxyHeader: this.#options.acceptProxyHeader,
      onDropped: (why) => this.#options.onDropped(this.#endpoint.name, why),
      onReady: (bare, ready) => this.#serve(bare, ready),
      onGone: (bare) => this.#serving.delete(bare),
    });
  }

  get port(): number {
    return this.#acceptor?.port ?? 0;
  }

  async update(listener: Listener): Promise<void> {
    this.#endpoint.name = listener.name;
    this.#http = this.#servingOf(listener);
    const { tls } = this.#settings;
    if (listener.tls === null) {
      tls?.close();
      this.#apply(listener, null);
    } else if (tls === null) {
      this.#apply(listener, await openTls(listener, this.#options.tls));
    } else {
      this.#apply(listener, tls);
      await tls.update({ name: listener.name, tls: listener.tls, protocols: protocolsOf(listener) });
    }
  }

  #apply(listener: Listener, tls: TlsContexts | null): void {
    this.#settings = settingsOf(listener, tls);
    this.#acceptor?.refresh();
  }

  #servingOf({ limits }: Listener): HttpServing {
    const { handler, onRefused } = this.#options;
    return { handler, onRefused, limits };
  }

  #serve(bare: Socket, { socket, version, client, tls, first }: Ready): void {
    const { address: peer, port: peerPort, destination } = client;
    const { address: localAddress, port: localPort } = destination;
    const connection = { endpoint: this.#endpoint, peer, peerPort, localAddress, localPort, tls };
    this.#serving.set(bare, SERVE[version](socket, connection, this.#http, first));
  }

  setClosing(): void {
    this.#endpoint.closing = true;
  }

  async close(deadlineMs: number): Promise<void> {
    this.setClosing();
    this.#settings.tls?.close();
    const acceptor = this.#acceptor as Acceptor;
    const closed = acceptor.close();
    const linger = setTimeout(() => this.#endIdle(acceptor), IDLE_LINGER_MS);
    const deadline = setTimeout(() => this.#cut(acceptor), deadlineMs);
    await closed;
    clearTimeout(linger);
    clearTimeout(deadline);
  }

  #endIdle({ open }: Acceptor): void {
    for (const bare of open) {
      const connection = this.#serving.get(bare);
      if (connection) connection.endWhenAnswered();
      else bare.destroy(); // has not asked for anything yet
    }
  }

  #cut({ open }: Acceptor): void {
    for (const bare of open) {
      this.#serving.get(bare)?.destroy();
      bare.destroy();
    }
  }
}

const settingsOf = ({ limits, http2, proxyProtocol }: Listener, tls: TlsContexts | null): AcceptSettings => ({
  limits,
  http2,
  proxyProtocol,
  trust: trustPeers(proxyProtocol?.trusted ?? []),
  tls,
});
