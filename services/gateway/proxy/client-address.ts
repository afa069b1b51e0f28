// Whose request this is: the peer's, unless that is a trusted proxy; then the last address of X-Forwarded-For that is
// not one itself. What stands before that one anybody could have written.
import { isIP } from "node:net";
import { type Fields, listOf } from "../messages/fields.ts";
import { plainAddress, type Trust } from "./forwarding.ts";

/** Proxies in a row that are looked through. */
const HOPS_MAX = 16;

/** @param peer a trusted one; for any other the client is the peer */
export function clientBehind(peer: string, fields: Fields, trust: Trust): string {
  const told = listOf(fields, "x-forwarded-for");
  let client = peer;
  let end = told?.length ?? 0;
  for (let hops = 0; told !== undefined && end > 0 && hops < HOPS_MAX && trust(client); hops += 1) {
    const comma = told.lastIndexOf(",", end - 1);
    const address = addressOf(told.slice(comma + 1, end).trim());
    if (address === null) break;
    client = address;
    end = comma;
  }
  return client;
}

/** Some proxies write a port, too. Null for what is no address. */
function addressOf(node: string): string | null {
  const bare = /^\[(.*)\](?::\d+)?$/.exec(node)?.[1] ?? /^([^:]*):\d+$/.exec(node)?.[1] ?? node;
  const address = plainAddress(bare);
  return isIP(address) === 0 ? null : address;
}
