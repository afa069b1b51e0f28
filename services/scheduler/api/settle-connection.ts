// One gateway's connection for settles. A statement that is malformed is answered with the reason, like any other
// refusal, and disturbs nobody else on the connection; a stream that cannot be understood is told why and closed.
import type { Socket } from "node:net";
import {
  ANSWER_BYTES_MAX,
  type Frame,
  KIND,
  type Refusal,
  SETTLE_BYTES_MAX,
  SETTLES_IN_FLIGHT_MAX,
} from "@evenkeel/core/wire/frames.ts";
import type { SettleRequest } from "@evenkeel/core/wire/settle.ts";
import { frameSocket } from "@evenkeel/runtime/framed-socket.ts";
import type { Batcher } from "../batching/batcher.ts";
import { SchedulerError } from "../errors.ts";
import { checkSettle } from "./settle-check.ts";

/** A gateway asks after a connection that is silent for 2 s, so one that is silent for this long has no gateway. */
const SILENCE_MAX_MS = 20_000;
/** For a gateway to read why its connection is closed. */
const LINGER_MS = 1_000;

export interface SettleConnection {
  /** Asks the gateway to leave. What it sends until then is still answered. */
  close(): void;
  destroy(): void;
}

export interface SettleConnectionOptions {
  socket: Socket;
  head: Buffer;
  batcher: Batcher;
  silenceMaxMs?: number;
  onEnd(): void;
}

export function serveSettles(options: SettleConnectionOptions): SettleConnection {
  const { socket, head, batcher, silenceMaxMs = SILENCE_MAX_MS, onEnd } = options;
  let inFlight = 0;
  let faulty = false;

  const send = (kind: Frame["kind"], id: number, text: string) => {
    framed.send(kind, id, text);
    // A gateway that does not read its answers is not asked for more questions.
    if (socket.writableNeedDrain) socket.pause();
  };
  const refuse = (id: number, refusal: Refusal) => send(KIND.refusal, id, JSON.stringify(refusal));
  const onFault = (fault: string) => {
    faulty = true;
    framed.send(KIND.closing, 0, fault);
    framed.end(LINGER_MS);
  };

  const ask = (id: number, pool: string, request: SettleRequest) => {
    inFlight += 1;
    batcher.settle(pool, request, (error, response) => {
      inFlight -= 1;
      if (error) refuse(id, refusalOf(error));
      else send(KIND.answer, id, JSON.stringify(response));
    });
  };
  const take = (id: number, text: string) => {
    const nameEnd = text.indexOf("\n");
    let statement: unknown;
    try {
      statement = JSON.parse(text.slice(nameEnd + 1));
    } catch (error) {
      onFault(`settle ${id} is no JSON: ${(error as Error).message}`);
      return;
    }
    const pool = text.slice(0, Math.max(nameEnd, 0));
    const checked = checkSettle(pool, statement);
    if ("error" in checked) refuse(id, checked);
    else if (inFlight >= SETTLES_IN_FLIGHT_MAX) refuse(id, refusalOf(TOO_MANY));
    else ask(id, pool, checked.request);
  };

  const onFrame = ({ kind, id, text }: Frame): void => {
    if (faulty) return;
    if (kind === KIND.settle) take(id, text);
    else if (kind === KIND.ping) send(KIND.pong, id, "");
    else if (kind !== KIND.pong) onFault(`a gateway sends no frame of kind ${kind}`);
  };

  const bounds = { textMax: SETTLE_BYTES_MAX, waitingMax: ANSWER_BYTES_MAX };
  const framed = frameSocket({ socket, head, ...bounds, onFrame, onFault, onEnd });
  socket.on("drain", () => socket.resume());
  socket.setTimeout(silenceMaxMs, () => framed.destroy(`silent for ${silenceMaxMs} ms`));

  return {
    close: () => framed.send(KIND.closing, 0, "this scheduler stops"),
    destroy: () => framed.destroy("this scheduler stops"),
  };
}

const TOO_MANY = new SchedulerError(
  "overloaded",
  `${SETTLES_IN_FLIGHT_MAX} settles of this gateway are open`,
);

const refusalOf = ({ status, code, message }: SchedulerError): Refusal => ({ status, code, error: message });
