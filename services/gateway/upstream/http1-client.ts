// HTTP/1.1 to one origin: a stack of kept-alive connections, each with one request at a time. Nothing is ever queued.
import { isIdempotent } from "../messages/message.ts";
import type { BackendEvents, Origin, Outgoing, OutgoingRequest } from "../messages/outgoing.ts";
import { Connector, type OriginSettings } from "./connect.ts";
import { type ConnectionOwner, Http1Connection } from "./http1-connection.ts";
import { Http1Request } from "./http1-request.ts";
import type { Sweep } from "./sweep.ts";

/**
 * A request that must not be repeated goes only over a connection used so lately that hardly any backend has closed it
 * meanwhile (the shortest idle timeouts in use are 2 to 5 s): such a request cannot be sent again when it has. In ms.
 */
const FRESH_ENOUGH_MS = 1_000;

export class Http1Client implements Origin, ConnectionOwner {
  readonly connector: Connector;
  readonly sweep: Sweep;
  /** The one used last is on top: the others get to be closed when there are too many. */
  readonly #idle: Http1Connection[] = [];
  readonly #reusable: boolean;
  #requests = 0;
  #closing = false;

  constructor(settings: OriginSettings, sweep: Sweep) {
    this.connector = new Connector(settings, "http/1.1");
    this.sweep = sweep;
    // A PROXY header names one client for all of a connection.
    this.#reusable = settings.sendProxyProtocol === null;
  }

  send(request: OutgoingRequest, events: BackendEvents): Outgoing | null {
    if (this.#requests >= this.connector.settings.maxConnections) return null;
    const outgoing = new Http1Request(this, request, events);
    this.#requests += 1;
    if (!outgoing.sendable) return outgoing;
    const idle = request.fresh ? null : this.#takeIdle(request);
    if (idle !== null) {
      idle.carry(outgoing);
      return outgoing;
    }
    this.#makeRoom();
    outgoing.connecting = new Http1Connection(this, outgoing);
    return outgoing;
  }

  /** Whether connections may be used again. */
  get reusable(): boolean {
    return this.#reusable && !this.#closing;
  }

  #takeIdle(request: OutgoingRequest): Http1Connection | null {
    const top = this.#idle[this.#idle.length - 1];
    if (top === undefined) return null;
    if (!isRepeatable(request) && top.idleFor(this.sweep.clock()) >= FRESH_ENOUGH_MS) return null;
    this.#idle.pop();
    return top;
  }

  /** So that idle connections and those with requests together keep to the bound. */
  #makeRoom(): void {
    const { maxConnections } = this.connector.settings;
    if (this.#idle.length + this.#requests > maxConnections) this.#idle[0]?.destroy();
  }

  onRequestOver(): void {
    this.#requests -= 1;
  }

  onIdle(connection: Http1Connection): void {
    this.#idle.push(connection);
  }

  onClosed(connection: Http1Connection): void {
    const at = this.#idle.lastIndexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
  }

  close(): void {
    this.#closing = true;
    for (const connection of this.#idle.slice()) connection.destroy();
  }
}

/** A body that is passed on as it comes is gone when it was sent. */
const isRepeatable = ({ method, body, bodyLength }: OutgoingRequest): boolean =>
  isIdempotent(method) && (body !== null || bodyLength === 0);
