// One client's exchange with one backend over UDP. The pick is held until the session ends; a backend that refuses is
// left, and the next datagram goes to another one.
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import { backendAddress } from "@evenkeel/core/config/backend-url.ts";
import type { Route } from "@evenkeel/core/config/resolve.ts";
import type { Outcome, Pick } from "../scheduling/scheduling.ts";
import { connectFault, detailOf } from "../upstream/faults.ts";
import type { Idle, IdleList } from "./idle-list.ts";
import { StreamPlacement } from "./placement.ts";
import type { Drop, ListenerSeries, StreamResult } from "./report.ts";
import type { StreamDestination, StreamSurroundings } from "./surroundings.ts";

/** Datagrams of one session that wait for its backend; more are dropped. */
const MAX_WAITING = 16;
/** Of one socket, waiting in this process until the system takes them; more are dropped. */
export const MAX_QUEUED_BYTES = 4 * 1024 * 1024;

/** What the sessions of a listener share. */
export interface UdpSessionListener {
  /** Of the configuration in force. */
  readonly name: string;
  readonly series: ListenerSeries;
  readonly idle: IdleList<UdpSession>;
  readonly responses: number | null;
  drop(reason: Drop): void;
  /** False: it was dropped. */
  answer(datagram: Buffer, to: RemoteInfo): boolean;
  onEnded(client: UdpClient): void;
}

export interface UdpClient {
  key: string;
  /** Address without prefix or zone. */
  client: string;
  from: RemoteInfo;
}

export class UdpSession implements Idle {
  older: Idle | null = null;
  newer: Idle | null = null;
  activeMs = 0;

  readonly #around: StreamSurroundings;
  readonly #listener: UdpSessionListener;
  readonly #client: UdpClient;
  readonly #route: Route;
  readonly #placement: StreamPlacement;
  readonly #sinceMs: number;
  #pick: Pick | null = null;
  /** The last one tried. */
  #backendName: string | null = null;
  /** Null: there is none yet, or the last one has refused. */
  #socket: Socket | null = null;
  #connected = false;
  /** A pick or connection is on its way. */
  #waiting: Buffer[] | null = null;
  #attempts = 0;
  #sentMs: number | null = null;
  /** Of this backend, to its first answer. */
  #answeredMs: number | null = null;
  /** Datagrams, of this backend. */
  #sent = 0;
  #answers = 0;
  #bytesIn = 0;
  #bytesOut = 0;
  #fault = "";
  #done = false;

  constructor(
    around: StreamSurroundings,
    listener: UdpSessionListener,
    client: UdpClient,
    route: Route,
    destination: StreamDestination,
  ) {
    this.#around = around;
    this.#listener = listener;
    this.#client = client;
    this.#route = route;
    this.#placement = new StreamPlacement(around.scheduling, destination);
    this.#sinceMs = around.clock();
    destination.budget.earn();
    listener.idle.add(this);
  }

  onClientDatagram(datagram: Buffer): void {
    this.#listener.idle.touch(this);
    if (this.#connected) {
      this.#send(datagram);
    } else if (this.#waiting === null) {
      this.#waiting = [datagram];
      this.#acquire();
    } else if (this.#waiting.length < MAX_WAITING) {
      this.#waiting.push(datagram);
    } else {
      this.#listener.drop("waiting");
    }
  }

  #acquire(): void {
    this.#placement.acquire((pick) => this.#onPick(pick));
  }

  #onPick(pick: Pick | null): void {
    if (this.#done) {
      if (pick) this.#around.scheduling.release(pick, "canceled", null);
      return;
    }
    if (pick === null && this.#placement.moveOn()) {
      this.#acquire();
      return;
    }
    const address = pick && backendAddress(pick.url);
    this.#pick = pick;
    if (pick === null || address === null) {
      this.#dropWaiting("no-backend");
      this.end(this.#attempts === 0 ? "no-backend" : "backend-refused");
      return;
    }
    this.#backendName = pick.backend;
    this.#attempts += 1;
    this.#answeredMs = null;
    this.#sentMs = null;
    this.#sent = 0;
    this.#answers = 0;
    const socket = createSocket(isIPv6(address.host) ? "udp6" : "udp4");
    this.#socket = socket;
    socket.on("error", (error) => this.#onError(socket, error));
    socket.on("message", (datagram) => this.#onBackendDatagram(socket, datagram));
    socket.on("connect", () => this.#onConnect(socket));
    socket.connect(address.port, address.host);
  }

  #onConnect(socket: Socket): void {
    if (socket !== this.#socket) return;
    this.#connected = true;
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const datagram of waiting) if (!this.#done) this.#send(datagram);
  }

  #send(datagram: Buffer): void {
    const socket = this.#socket as Socket;
    if (socket.getSendQueueSize() > MAX_QUEUED_BYTES) {
      this.#listener.drop("send-queue");
      return;
    }
    this.#sentMs ??= this.#around.clock();
    this.#sent += 1;
    this.#bytesIn += datagram.length;
    this.#listener.series.bytesIn.value += datagram.length;
    socket.send(datagram, (error) => {
      if (error) this.#onError(socket, error);
      else if (this.#listener.responses === 0 && socket === this.#socket) this.end("ended");
    });
  }

  #onBackendDatagram(socket: Socket, datagram: Buffer): void {
    if (this.#done || socket !== this.#socket) return;
    this.#listener.idle.touch(this);
    if (this.#answeredMs === null) {
      const nowMs = this.#around.clock();
      this.#answeredMs = nowMs - (this.#sentMs ?? nowMs);
      this.#placement.startOver();
    }
    this.#answers += 1;
    if (this.#listener.answer(datagram, this.#client.from)) {
      this.#bytesOut += datagram.length;
      this.#listener.series.bytesOut.value += datagram.length;
    }
    const { responses } = this.#listener;
    if (responses !== null && this.#answers >= responses * this.#sent) this.end("ended");
  }

  /** What the network said of a datagram that was sent, or this system of one that was to be. */
  #onError(socket: Socket, error: Error): void {
    if (this.#done || socket !== this.#socket) return;
    const fault = connectFault(error, false);
    this.#fault = detailOf(error);
    if (fault === "unreachable" && this.#fault === "EMSGSIZE") {
      this.#listener.drop("send-error"); // one that is too large says nothing about the backend
      return;
    }
    this.#leave(socket);
    if (fault === "exhausted") {
      this.#release("canceled");
      this.#dropWaiting("gateway-exhausted");
      this.end("gateway-exhausted");
      return;
    }
    this.#release("failure");
    if (!this.#placement.avoid(this.#backendName as string)) {
      this.#dropWaiting("no-backend");
      this.end("backend-refused");
      return;
    }
    if (this.#waiting !== null) this.#acquire();
  }

  #leave(socket: Socket): void {
    this.#socket = null;
    this.#connected = false;
    socket.close();
  }

  #dropWaiting(reason: Drop): void {
    for (const _ of this.#waiting ?? []) this.#listener.drop(reason);
    this.#waiting = null;
  }

  onIdle(): void {
    this.end("ended");
  }

  #release(outcome: Outcome): void {
    const pick = this.#pick;
    this.#pick = null;
    if (pick) this.#around.scheduling.release(pick, outcome, this.#answeredMs);
  }

  /** Silence says nothing about a backend, unless answers were to be expected. */
  #outcome(result: StreamResult): Outcome {
    if (result !== "ended") return this.#answers > 0 ? "success" : "canceled";
    const { responses } = this.#listener;
    const silent = responses !== null && responses > 0 && this.#sent > 0 && this.#answers === 0;
    return silent ? "failure" : "success";
  }

  end(result: StreamResult): void {
    if (this.#done) return;
    this.#done = true;
    this.#listener.idle.delete(this);
    this.#release(this.#outcome(result));
    this.#dropWaiting("no-backend");
    if (this.#socket !== null) this.#leave(this.#socket);
    this.#around.report.finished({
      listener: this.#listener.name,
      client: this.#client.client,
      route: this.#route.name,
      pool: this.#placement.destination.pool.name,
      backend: this.#backendName,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      durationMs: this.#around.clock() - this.#sinceMs,
      connectMs: this.#answeredMs,
      attempts: this.#attempts,
      result,
      reason: this.#fault,
    });
    this.#listener.onEnded(this.#client);
  }
}
