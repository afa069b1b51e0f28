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
  /** Address of the client: the peer, or what trusted proxies said of it. */
  client: string;
}

export interface Refusal {
  status: number;
  /** Shown to the client. */
  text: string;
  /** Such as WWW-Authenticate or Retry-After. */
  fields: Fields;
}

/** What a check found out that the backend is to know, and what it must not see. */
export interface Grant {
  /** Put on the request in place of fields of the same names. */
  set: Fields;
  /** Names in lower case that are not passed on: a key is for this gateway only. */
  remove: readonly string[];
}

export interface Access {
  /** `done` is called once, usually before `check` returns. Never throws. */
  check(request: AccessRequest, done: (refusal: Refusal | null, grant: Grant | null) => void): void;
}
