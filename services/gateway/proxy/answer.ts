// The answers that come from this proxy itself: short, plain, and saying what happened.
import { type ServerResponse, STATUS_CODES } from "node:http";
import { BACKEND_HEADER } from "./response-headers.ts";

/** @param backend the last one tried, named to the client; null: the client is not told */
export function answer(response: ServerResponse, status: number, text: string, backend: string | null): void {
  const body = `${status} ${STATUS_CODES[status]}: ${text}\n`;
  const headers = [
    "content-type",
    "text/plain; charset=utf-8",
    "content-length",
    String(Buffer.byteLength(body)),
  ];
  if (backend !== null) headers.push(BACKEND_HEADER, backend);
  response.writeHead(status, STATUS_CODES[status] as string, headers);
  response.end(body);
}
