// What an accepted HTTP connection is to its listener, whatever its version.
import type { HttpLimits } from "@evenkeel/core/config/resolve-listeners.ts";
import type { Handler } from "../messages/incoming.ts";

export interface HttpConnection {
  /** Ends when the answers under way are out; at once where there is none. HTTP/2 says so with GOAWAY first. */
  endWhenAnswered(): void;
  /** Now, whatever is under way. */
  destroy(): void;
}

export interface HttpServing {
  handler: Handler;
  limits: HttpLimits;
  /** Told of each answer to what could not be parsed as a request. */
  onRefused: (status: number) => void;
}
