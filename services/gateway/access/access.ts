// Who may use a route: checked before anything of the request is forwarded. Rows of one table, in a fixed order; the
// first that refuses answers.
import type { Fields } from "../messages/fields.ts";
import type { ClientConnection } from "../messages/incoming.ts";
import type { RequestHead } from "../messages/message.ts";
import type { Target } from "../routing/target.ts";

export interface AccessRequest {
  head: RequestHead;
  connection: ClientConnection;
  target: Target;
  /** What the peer says of earlier hops is believed. */
  trusted: boolean;
  /** Address of the client: the peer, or what trusted proxies said of it. */
  client: string;
}

export interface Refusal {
  status: number;
  /** Shown to the client. */
  text: string;
  /** Sent as it is in place of `text`, its Content-Type then being one of `fields`; null: there is only `text`. */
  body: Buffer | null;
  /** Such as WWW-Authenticate or Retry-After. */
  fields: Fields;
}

/** What a check found out that the backend is to know, and what it must not see. */
export interface Grant {
  /** Put on the request, after `remove` and what Connection names were taken out. */
  set: Fields;
  /**
   * Names in lower case that are not passed on, neither as fields nor as trailers: a key is for this gateway only, and
   * what `set` may say a client must not say itself.
   */
  remove: readonly string[];
  /** Added to the answer, beside what the backend says. */
  answer: Fields;
}

export interface Access {
  /** `done` is called once, usually before `check` returns. Never throws. */
  check(request: AccessRequest, done: (refusal: Refusal | null, grant: Grant | null) => void): void;
}
