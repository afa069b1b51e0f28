// A worker's side of the channel: it takes the sockets and configurations that the first process hands it, answers its
// questions, and tells it when it begins or ceases to welcome requests.
import type { MetricsSnapshot } from "@evenkeel/runtime/metrics.ts";
import type { GivenSockets } from "../listeners/bind.ts";
import type { PoolView } from "../scheduling/scheduling.ts";
import type { Assignment, Question } from "./messages.ts";
import type { ParentChannel } from "./process.ts";

/** How often a change of readiness is looked for that comes by itself, such as a listener that opens late. */
const STATE_INTERVAL_MS = 250;
/** For sockets to be given back. */
const GIVE_BACK_TIMEOUT_MS = 1_000;

export interface FollowOptions {
  channel: ParentChannel;
  sockets: GivenSockets;
  configure(assignment: Assignment): Promise<void>;
  notReady(): string | null;
  metrics(): Promise<MetricsSnapshot>;
  pools(): PoolView[];
}

export interface Following {
  /** Before it stops: the first process accepts on its sockets from then on. Resolves when they are there, or late. */
  giveBack(): Promise<void>;
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
      sockets.setPorts(assignment.ports);
      const lent = sockets.waiting();
      await options.configure(assignment);
      tell();
      const waiting = sockets.waiting();
      const unused = lent.filter((key) => waiting.includes(key));
      for (const key of unused) sockets.drop(key);
      return unused.length === 0;
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
  return {
    async giveBack() {
      const late = Promise.withResolvers<void>();
      const timeout = setTimeout(late.resolve, GIVE_BACK_TIMEOUT_MS);
      const sent = sockets.inUse().map(({ key, handle }) => channel.sent({ kind: "socket", key }, handle));
      await Promise.race([late.promise, Promise.all(sent)]);
      clearTimeout(timeout);
    },
    close: () => clearInterval(timer),
  };
}
