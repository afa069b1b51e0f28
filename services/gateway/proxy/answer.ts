// The answers that come from this proxy itself: short, plain, and saying what happened.
import { STATUS_CODES } from "node:http";
import { addField, type Fields } from "../messages/fields.ts";
import type { Incoming } from "../messages/incoming.ts";
import { BACKEND_HEADER } from "./response-fields.ts";

/**
 * @param fields said beside what describes the text
 * @param backend the last one tried, named to the client; null: the client is not told
 */
export function answer(
  incoming: Incoming,
  status: number,
  text: string,
  fields: Fields,
  backend: string | null,
): void {
  const said = [...fields];
  addField(said, "content-type", "text/plain; charset=utf-8");
  if (backend !== null) addField(said, BACKEND_HEADER, backend);
  answerWith(incoming, status, said, Buffer.from(`${status} ${STATUS_CODES[status] ?? ""}: ${text}\n`));
}

export function answerWith(incoming: Incoming, status: number, fields: Fields, body: Buffer): void {
  const reason = STATUS_CODES[status] ?? "";
  incoming.sendHead({ status, reason, fields, bodyLength: body.length, tunnel: false });
  if (incoming.head.method !== "HEAD" && body.length > 0) incoming.write(body);
  incoming.end(null);
}
