// A worker's side of the channel: it takes the sockets and configurations that the first process hands it, answers its
// questions, and tells it when it begins or ceases to welcome requests.
import type { MetricsSnapshot } from "@evenkeel/runtime/metrics.ts";
import type { GivenSockets } from "../listeners/bind.ts";
import type { PoolView } from "../scheduling/scheduling.ts";
import type { Assignment, Channel, FromWorker, Question, ToWorker } from "./messages.ts";

/** How often a change of readiness is looked for that comes by itself, such as a listener that opens late. */
const STATE_INTERVAL_MS = 250;

export interface FollowOptions {
  channel: Channel<ToWorker, FromWorker>;
  sockets: GivenSockets;
  configure(assignment: Assignment): Promise<void>;
  notReady(): string | null;
  metrics(): Promise<MetricsSnapshot>;
  pools(): PoolView[];
}

export interface Following {
  close(): void;
}

export function followFirstProcess(options: FollowOptions): Following {
  const { channel, sockets } = options;
  let told: string | null | undefined;
  const tell = () => {
    const notReady = options.notReady();
    if (notReady === told) return;
    told = notReady;
    channel.send({ kind: "state", notReady });
  };

  const answers = {
    metrics: options.metrics,
    pools: async () => options.pools(),
    configure: async (assignment: Assignment) => {
      sockets.keep(assignment.sockets);
      await options.configure(assignment);
      tell();
      return null;
    },
  };
  const answer = ({ kind, asked }: Question): Promise<unknown> =>
    kind === "configure" ? answers.configure(asked) : answers[kind]();

  channel.onMessage((message, handle) => {
    if (message.kind === "socket") {
      if (handle !== undefined) sockets.give(message.key, handle);
      return;
    }
    const { id } = message;
    answer(message).then(
      (answer) => channel.send({ kind: "answer", id, answer }),
      () => channel.send({ kind: "answer", id, answer: null }),
    );
  });
  const timer = setInterval(tell, STATE_INTERVAL_MS);
  tell();
  return { close: () => clearInterval(timer) };
}
