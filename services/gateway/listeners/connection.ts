// One client's connection: its requests are served one at a time, in the order they came (RFC 9112, 9.3.2). Node parses
// ahead and hands over every request it finds; without turns one connection could take all capacity, and what happens
// to one answer would happen to all of them.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Requests of one connection that wait for their turn; when more come, the last of them ends the connection. */
export const MAX_WAITING = 16;

/** What a request can know of the listener it came through. */
export interface Endpoint {
  readonly name: string;
  /** Answers should end their connection. */
  readonly closing: boolean;
}

/** A request being served, as its connection sees it. */
export interface Serving {
  /** The answer is out or the client is gone: once, at the end of every request. */
  onClose(): void;
  /** The rest of the request's body cannot be parsed; the connection ends after the answer. */
  onMalformed(status: number): void;
}

export type Handler = (request: IncomingMessage, response: ServerResponse, endpoint: Endpoint) => Serving;

type Response = ServerResponse<IncomingMessage>;

export class Connection {
  readonly #socket: Socket;
  readonly #handle: Handler;
  readonly #endpoint: Endpoint;
  readonly #answered = () => this.#onAnswered();
  #serving: Serving | null = null;
  /** The one served last; kept past its answer only while its body still comes in. */
  #request: IncomingMessage | null = null;
  /** Null on a connection that has never pipelined. */
  #waiting: Response[] | null = null;
  #full = false;
  /** What ends the connection once every answer is out. */
  #end: (() => void) | null = null;

  constructor(socket: Socket, handle: Handler, endpoint: Endpoint) {
    this.#socket = socket;
    this.#handle = handle;
    this.#endpoint = endpoint;
  }

  take(response: Response): void {
    if (this.#serving === null) this.#serve(response);
    else this.#queue(response);
  }

  /** Ends when the answers under way are out; at once where there is none. */
  endWhenAnswered(): void {
    this.#endWith(() => this.#socket.destroySoon());
  }

  /** What came in is not HTTP. @param refuse answers it, and ends the connection */
  onMalformed(status: number, refuse: () => void): void {
    const waiting = this.#waiting?.at(-1);
    const request = waiting?.req ?? this.#request;
    if (request === null || request.complete) {
      this.#endWith(refuse);
    } else if (waiting) {
      this.#waiting?.pop();
      this.#endWith(refuse);
    } else if (this.#serving) {
      this.endWhenAnswered();
      this.#serving.onMalformed(status);
    } else {
      this.#socket.destroy(); // it was answered before its end
    }
  }

  #endWith(end: () => void): void {
    if (this.#serving) this.#end = end;
    else end();
  }

  #queue(response: Response): void {
    this.#waiting ??= [];
    if (!this.#full && this.#waiting.length < MAX_WAITING) {
      this.#waiting.push(response);
      return;
    }
    const last = this.#waiting.at(-1);
    if (last) last.shouldKeepAlive = false;
    this.#full = true;
    this.#socket.pause(); // Node reads on after the next answer, and then comes here again
  }

  #serve(response: Response): void {
    this.#request = response.req;
    response.on("close", this.#answered);
    this.#serving = this.#handle(response.req, response, this.#endpoint);
  }

  /** On a connection that is closed or closing no further turn begins: nobody would get the answer. */
  #onAnswered(): void {
    const serving = this.#serving;
    this.#serving = null;
    serving?.onClose();
    if (this.#request?.complete) this.#request = null;
    const next = this.#waiting?.shift();
    if (!this.#socket.writable) this.#waiting = null;
    else if (next) this.#serve(next);
    else this.#end?.();
  }
}
