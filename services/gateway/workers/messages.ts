// What the first process of a gateway and its workers say to each other over their IPC channel.
import type { SendHandle } from "node:child_process";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import type { MetricsSnapshot } from "@evenkeel/runtime/metrics.ts";
import type { OpenPort } from "../listeners/bind.ts";
import type { PoolView } from "../scheduling/scheduling.ts";

/** What a worker can be asked, and what it answers. */
export interface Questions {
  metrics: { asked: Record<never, never>; answer: MetricsSnapshot };
  pools: { asked: Record<never, never>; answer: PoolView[] };
  /** Answered once it is in use: whether the sockets that came before it are. */
  configure: { asked: Assignment; answer: boolean };
}

export type Kind = keyof Questions;

/** A configuration that the first process has put to use itself. */
export interface Assignment {
  version: number;
  document: ConfigDocument;
  /** That the first process has open: a worker opens no others. */
  ports: OpenPort[];
}

export type Question = { [K in Kind]: { id: number; kind: K; asked: Questions[K]["asked"] } }[Kind];

/** With a socket beside it: to be taken rather than opened, or given back. */
export interface Handover {
  kind: "socket";
  key: string;
}

export type ToWorker = Question | Handover;

export type FromWorker =
  /** Its first words too: it listens to questions from then on. Null: requests are welcome. */
  | { kind: "state"; notReady: string | null }
  | { kind: "answer"; id: number; answer: unknown }
  | Handover
  /** Its last words: what it has counted. */
  | { kind: "farewell"; metrics: MetricsSnapshot };

/** One end of the channel, as far as it is used. What cannot be sent any more is lost, as the other end is. */
export interface Channel<Incoming, Outgoing> {
  send(message: Outgoing, handle?: SendHandle): void;
  onMessage(listener: (message: Incoming, handle?: SendHandle) => void): void;
}
