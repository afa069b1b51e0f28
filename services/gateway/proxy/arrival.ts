// What is known of a request once its target is read, before anything is decided about it.
import type { ClientConnection } from "../messages/incoming.ts";
import type { RequestHead } from "../messages/message.ts";
import type { Target } from "../routing/target.ts";

export interface Arrival {
  head: RequestHead;
  connection: ClientConnection;
  target: Target;
  /** What the peer says of earlier hops is believed. */
  trusted: boolean;
  /** Address of the client: the peer, or what trusted proxies said of it. */
  client: string;
}
