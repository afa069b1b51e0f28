// HTTP/2 to one origin: as few connections as the backend's own bound on requests at once allows.
import type { BackendEvents, Origin, Outgoing, OutgoingRequest } from "../messages/outgoing.ts";
import { Connector, type OriginSettings } from "./connect.ts";
import { Http2Request } from "./http2-request.ts";
import { type Carried, Http2Session, type SessionOwner } from "./http2-session.ts";
import type { Sweep } from "./sweep.ts";

export class Http2Client implements Origin, SessionOwner {
  readonly connector: Connector;
  readonly sweep: Sweep;
  readonly #sessions: Http2Session[] = [];
  #requests = 0;

  constructor(settings: OriginSettings, sweep: Sweep) {
    this.connector = new Connector(settings, "h2");
    this.sweep = sweep;
  }

  send(request: OutgoingRequest, events: BackendEvents): Outgoing | null {
    if (this.#requests >= this.connector.settings.maxConnections) return null;
    this.#requests += 1;
    const outgoing = new Http2Request(this, request, events);
    this.carry(outgoing);
    return outgoing;
  }

  carry(outgoing: Carried): void {
    this.#sessionFor(outgoing.request).carry(outgoing);
  }

  #sessionFor({ fresh }: OutgoingRequest): Http2Session {
    const open = this.#sessions.find((session) => session.open && !(fresh && session.reused));
    if (open) return open;
    const session = new Http2Session(this);
    this.#sessions.push(session);
    return session;
  }

  onRequestOver(): void {
    this.#requests -= 1;
  }

  onSessionClosed(session: Http2Session): void {
    const at = this.#sessions.indexOf(session);
    if (at !== -1) this.#sessions.splice(at, 1);
  }

  close(): void {
    for (const session of this.#sessions.slice()) session.leave();
  }
}
