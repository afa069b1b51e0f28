// Listeners of udp. A client's address and port are one session: its datagrams go to one backend, over a socket of its
// own, so that answers find their way back and nobody but that backend can send any. The gateway itself never sends a
// datagram that no backend has sent: it amplifies nothing, but like every balancer it passes on answers to addresses
// that may have been forged. Sessions are bounded; where there is no room the one that was silent longest makes it, so
// that a flood of forged clients ends idle sessions, not busy ones.
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import type { Listener } from "@evenkeel/core/config/resolve.ts";
import type { Opener, OpenServer } from "../listeners/opened.ts";
import { plainAddress } from "../proxy/forwarding.ts";
import { IdleList } from "./idle-list.ts";
import type { Drop, ListenerSeries } from "./report.ts";
import { arrivalOf, type StreamSurroundings } from "./surroundings.ts";
import { MAX_QUEUED_BYTES, UdpSession, type UdpSessionListener } from "./udp-session.ts";

export const createUdpOpener =
  (around: StreamSurroundings): Opener =>
  async (listener, port) => {
    const server = new UdpServer(around, listener);
    await server.bind(port);
    return server;
  };

class UdpServer implements OpenServer, UdpSessionListener {
  readonly #around: StreamSurroundings;
  readonly #socket: Socket;
  /** By address and port of the client. */
  readonly #sessions = new Map<string, UdpSession>();
  readonly #perAddress = new Map<string, number>();
  readonly idle: IdleList<UdpSession>;
  #listener: Listener;
  #deadline: NodeJS.Timeout | undefined;
  /** Null: not closing. */
  #closed: Promise<void> | null = null;
  #onEmpty: (() => void) | null = null;
  name: string;
  series: ListenerSeries;

  constructor(around: StreamSurroundings, listener: Listener) {
    this.#around = around;
    this.#listener = listener;
    this.name = listener.name;
    this.series = around.report.series(listener.name);
    this.idle = new IdleList(around.clock, listener.datagrams.idleMs);
    this.#socket = createSocket({ type: listener.address.includes(":") ? "udp6" : "udp4" });
  }

  get port(): number {
    return this.#socket.address().port;
  }

  get responses(): number | null {
    return this.#listener.datagrams.responses;
  }

  bind(port: number): Promise<void> {
    const socket = this.#socket;
    return new Promise((resolve, reject) => {
      const refused = (error: Error) => {
        socket.close();
        reject(error);
      };
      socket.once("error", refused);
      socket.bind({ port, address: this.#listener.address }, () => {
        socket.off("error", refused);
        socket.on("error", ignore); // of one datagram: the next may be sound
        socket.on("message", (datagram, from) => this.#onDatagram(datagram, from));
        resolve();
      });
    });
  }

  async update(listener: Listener): Promise<void> {
    this.#listener = listener;
    this.idle.idleMs = listener.datagrams.idleMs;
    if (this.name === listener.name) return;
    this.name = listener.name;
    this.series = this.#around.report.series(listener.name);
    this.#reportOpen();
  }

  setClosing(): void {}

  /** The port stays bound until the last session has ended, since their answers go out through it. */
  close(deadlineMs: number): Promise<void> {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => {
      for (const session of this.#sessions.values()) session.end("cut");
    }, deadlineMs);
    if (this.#closed !== null) return this.#closed;
    this.#closed = new Promise((resolve) => {
      this.#onEmpty = () => {
        clearTimeout(this.#deadline);
        this.#onEmpty = null;
        this.#socket.close(() => resolve());
      };
      if (this.#sessions.size === 0) this.#onEmpty();
    });
    return this.#closed;
  }

  #onDatagram(datagram: Buffer, from: RemoteInfo): void {
    const key = `${from.address}|${from.port}`;
    const session = this.#sessions.get(key) ?? this.#open(key, from);
    session?.onClientDatagram(datagram);
  }

  #open(key: string, from: RemoteInfo): UdpSession | null {
    const around = this.#around;
    if (this.#closed !== null) return this.#drop("closing");
    const client = plainAddress(from.address);
    const { maxSessions, maxSessionsPerAddress } = this.#listener.datagrams;
    const own = this.#perAddress.get(client) ?? 0;
    if (maxSessionsPerAddress !== null && own >= maxSessionsPerAddress) return this.#drop("address-full");
    const route = around.route(this.name, null, client);
    if (route === null) return this.#drop("no-route");
    if (!around.allowed(route, client)) return this.#drop("denied");
    const destination = around.destination(route, arrivalOf(this.name, client, this.port, null));
    if (destination === null) return this.#drop("no-route");
    if (this.#sessions.size >= maxSessions) this.idle.oldest?.end("evicted");
    const session = new UdpSession(around, this, { key, client, from }, route, destination);
    this.#sessions.set(key, session);
    this.#perAddress.set(client, (this.#perAddress.get(client) ?? 0) + 1);
    this.#reportOpen();
    return session;
  }

  #drop(reason: Drop): null {
    this.drop(reason);
    return null;
  }

  drop(reason: Drop): void {
    this.#around.report.dropped(this.name, reason);
  }

  answer(datagram: Buffer, { port, address }: RemoteInfo): boolean {
    if (this.#socket.getSendQueueSize() > MAX_QUEUED_BYTES) {
      this.drop("send-queue");
      return false;
    }
    this.#socket.send(datagram, port, address, this.#onSent);
    return true;
  }

  readonly #onSent = (error: Error | null): void => {
    if (error) this.drop("send-error");
  };

  onEnded({ key, client }: { key: string; client: string }): void {
    this.#sessions.delete(key);
    const left = (this.#perAddress.get(client) ?? 1) - 1;
    if (left === 0) this.#perAddress.delete(client);
    else this.#perAddress.set(client, left);
    this.#reportOpen();
    if (this.#sessions.size === 0) this.#onEmpty?.();
  }

  #reportOpen(): void {
    this.#around.report.open(this.name, "udp", this.#sessions.size);
  }
}

const ignore = (): void => {};
