// Cluster events from Redis pub/sub. Delivery is at most once, so a (re)connect counts as a gap: `onGap` asks the
// owner to read the state again.
import { type Event, parseEvent } from "@evenkeel/core/wire/events.ts";
import { eventChannel } from "./keys.ts";
import type { Redis } from "./redis.ts";

export interface EventBus {
  close(): void;
}

export interface EventHandlers {
  onEvent(event: Event): void;
  onGap(): void;
}

/** A server that is there but does not let us listen is asked again after this. */
const RESUBSCRIBE_MS = 1_000;

/** Takes over `subscriber`, a connection of `openSubscriber`. */
export function subscribeEvents(subscriber: Redis, prefix: string, handlers: EventHandlers): EventBus {
  const channel = eventChannel(prefix);
  subscriber.on("message", (from: string, text: string) => {
    const event = from === channel ? parseEvent(text) : null;
    if (event) handlers.onEvent(event);
  });
  let again: NodeJS.Timeout | undefined;
  const subscribe = () => {
    clearTimeout(again);
    subscriber.subscribe(channel).then(handlers.onGap, (error: Error) => {
      if (subscriber.status !== "ready") return; // the next connection subscribes anew
      subscriber.emit("error", error);
      again = setTimeout(subscribe, RESUBSCRIBE_MS).unref();
    });
  };
  subscriber.on("ready", subscribe);
  subscriber.on("close", () => clearTimeout(again));
  if (subscriber.status === "ready") subscribe();
  return { close: () => subscriber.disconnect() };
}
