// One connection to one scheduler, on which the settles of all pools travel as frames. Every settle is answered or
// fails exactly once, unless it is forgotten. A connection that left one unanswered, or was told that the scheduler
// stops, is given up gently: it takes no new settles, and ends when those it carries have been answered.
import type { Socket } from "node:net";
import { readAnswer, readRefusal } from "@evenkeel/core/wire/answers.ts";
import {
  ANSWER_BYTES_MAX,
  type Frame,
  ID_MAX,
  KIND,
  type Refusal,
  SETTLE_BYTES_MAX,
  SETTLES_IN_FLIGHT_MAX,
} from "@evenkeel/core/wire/frames.ts";
import type { SettleRequest, SettleResponse } from "@evenkeel/core/wire/settle.ts";
import { type FramedSocket, frameSocket } from "@evenkeel/runtime/framed-socket.ts";
import { requestUpgrade } from "./upgrade.ts";

/** What a scheduler may leave unread before it counts as one that does not answer. */
const UNREAD_BYTES_MAX = 4 * SETTLE_BYTES_MAX;
/** After this long without a word the scheduler is asked whether it is there; after as long again it is not. */
const SILENCE_MAX_MS = 2_000;
/** Longest wait for what a connection still carries once it is given up. */
const RETIRE_MAX_MS = 1_000;

export type SettleDone = (error: Error | null, response: SettleResponse | null) => void;

/** The scheduler works but will not have this statement, or does not know the pool: asking another is no use. */
export class SettleRefused extends Error {
  override name = "SettleRefused";
}

export interface SettleConnectionOptions {
  /** Base URL of the scheduler. */
  url: string;
  token: string;
  onOpen(): void;
  /** The scheduler answered HTTP and did not upgrade. */
  onRefused(reason: string): void;
  /** Takes no settles from here on; told once. `draining`: because the scheduler said that it stops. */
  onGone(reason: string, draining: boolean): void;
}

interface Pending {
  /** How many picks the answer must have. */
  wants: number;
  done: SettleDone;
}

export class SettleConnection {
  readonly #options: SettleConnectionOptions;
  readonly #upgrade: { cancel(): void };
  readonly #pulse: NodeJS.Timeout;
  readonly #pending = new Map<number, Pending>();
  /** Asked for before the connection stood. */
  #early: { id: number; text: string }[] = [];
  #framed: FramedSocket | null = null;
  #lastId = 0;
  /** Why it takes no more settles. */
  #gone: string | null = null;
  #ended = false;
  #heard = true;
  #pinged = false;

  /** Opens it; settles may be asked for at once. */
  constructor(options: SettleConnectionOptions) {
    this.#options = options;
    this.#upgrade = requestUpgrade({
      url: options.url,
      token: options.token,
      onOpen: (socket, head) => this.#open(socket, head),
      onRefused: (reason) => {
        options.onRefused(reason);
        this.destroy(reason);
      },
      onFailed: (reason) => this.destroy(reason),
    });
    this.#pulse = setInterval(() => this.#feelPulse(), SILENCE_MAX_MS).unref();
  }

  /** Answers the number to forget it by. `done` is called once, after this has returned. */
  settle(pool: string, request: SettleRequest, done: SettleDone): number {
    const id = this.#nextId();
    if (this.#gone !== null || this.#pending.size >= SETTLES_IN_FLIGHT_MAX) {
      const reason = this.#gone ?? `${SETTLES_IN_FLIGHT_MAX} settles are unanswered`;
      process.nextTick(done, new Error(reason), null);
      return id;
    }
    this.#pending.set(id, { wants: request.wants.length, done });
    const text = `${pool}\n${JSON.stringify(request)}`;
    if (this.#framed) this.#framed.send(KIND.settle, id, text);
    else this.#early.push({ id, text });
    return id;
  }

  /** Its `done` will not be called; false when it was already. */
  forget(id: number): boolean {
    const waited = this.#pending.delete(id);
    this.#endWhenAnswered();
    return waited;
  }

  /** Takes no new settles, and ends when those it carries were answered or have waited long enough. */
  retire(reason: string, draining = false): void {
    if (this.#gone !== null) return;
    this.#leave(reason, draining);
    setTimeout(() => this.destroy(reason), RETIRE_MAX_MS).unref();
    this.#endWhenAnswered();
  }

  destroy(reason: string): void {
    this.#upgrade.cancel();
    this.#framed?.destroy(reason);
    this.#end(reason);
  }

  #open(socket: Socket, head: Buffer): void {
    const framed = frameSocket({
      socket,
      head,
      textMax: ANSWER_BYTES_MAX,
      waitingMax: UNREAD_BYTES_MAX,
      onFrame: (frame) => this.#receive(frame),
      onFault: (fault) => this.#malformed(fault),
      onEnd: (reason) => this.#end(reason),
    });
    if (this.#ended) {
      framed.destroy("given up before it was open");
      return;
    }
    this.#framed = framed;
    this.#heard = true;
    this.#options.onOpen();
    for (const { id, text } of this.#early) if (this.#pending.has(id)) framed.send(KIND.settle, id, text);
    this.#early = [];
  }

  #receive({ kind, id, text }: Frame): void {
    this.#heard = true;
    if (kind === KIND.answer) this.#answered(id, text);
    else if (kind === KIND.refusal) this.#refused(id, text);
    else if (kind === KIND.closing) this.retire(`the scheduler closes the connection: ${text}`, true);
    else if (kind === KIND.ping) this.#framed?.send(KIND.pong, id, "");
  }

  #answered(id: number, text: string): void {
    const pending = this.#pending.get(id);
    if (!pending) return; // forgotten meanwhile
    const response = readAnswer(text, pending.wants);
    if (response) this.#settled(id, pending, null, response);
    else this.#malformed("it has not the shape of one");
  }

  #refused(id: number, text: string): void {
    const pending = this.#pending.get(id);
    if (!pending) return; // forgotten meanwhile
    const refusal = readRefusal(text);
    if (refusal) this.#settled(id, pending, refused(refusal), null);
    else this.#malformed("a refusal without status, code and error");
  }

  #settled(id: number, { done }: Pending, error: Error | null, response: SettleResponse | null): void {
    this.#pending.delete(id);
    done(error, response);
    this.#endWhenAnswered();
  }

  #malformed(fault: string): void {
    this.destroy(`the scheduler's answer is malformed: ${fault}`);
  }

  #leave(reason: string, draining: boolean): void {
    if (this.#gone !== null) return;
    this.#gone = reason;
    this.#options.onGone(reason, draining);
  }

  #endWhenAnswered(): void {
    if (this.#gone === null || this.#pending.size > 0 || this.#ended) return;
    this.#framed?.end(RETIRE_MAX_MS);
    if (this.#framed === null) this.#upgrade.cancel();
    this.#end(this.#gone);
  }

  #end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#pulse);
    this.#leave(reason, false);
    const left = [...this.#pending.values()];
    this.#pending.clear();
    for (const { done } of left) done(new Error(reason), null);
  }

  /** A settle that stays unanswered tells sooner; this is for connections that carry none. */
  #feelPulse(): void {
    if (!this.#heard && this.#pinged) {
      this.destroy(`silent for ${SILENCE_MAX_MS} ms`);
      return;
    }
    this.#pinged = !this.#heard;
    if (this.#pinged) this.#framed?.send(KIND.ping, 0, "");
    this.#heard = false;
  }

  /** Numbers come round; one that is still waited for is passed over. */
  #nextId(): number {
    do this.#lastId = this.#lastId === ID_MAX ? 1 : this.#lastId + 1;
    while (this.#pending.has(this.#lastId));
    return this.#lastId;
  }
}

function refused({ status, code, error }: Refusal): Error {
  const reason = `scheduler answered ${status} ${code}: ${error}`;
  return status < 500 ? new SettleRefused(reason) : new Error(reason);
}
