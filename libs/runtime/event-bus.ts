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

/** Takes over `subscriber`, a connection of `openSubscriber`. */
export function subscribeEvents(subscriber: Redis, prefix: string, handlers: EventHandlers): EventBus {
  const channel = eventChannel(prefix);
  subscriber.on("message", (from: string, text: string) => {
    const event = from === channel ? parseEvent(text) : null;
    if (event) handlers.onEvent(event);
  });
  let subscribed = false;
  subscriber.on("ready", () => {
    if (subscribed) handlers.onGap();
  });
  subscriber.subscribe(channel).then(
    () => {
      subscribed = true;
      handlers.onGap();
    },
    () => {}, // closed before it ever connected
  );
  return { close: () => subscriber.disconnect() };
}
