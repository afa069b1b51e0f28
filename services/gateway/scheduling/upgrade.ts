// The HTTP upgrade that opens a connection for settles, and what else a scheduler may answer to it.
import http, { type ClientRequest, type IncomingMessage } from "node:http";
import https from "node:https";
import type { Socket } from "node:net";
import { SETTLE_PATH, SETTLE_PROTOCOL } from "@evenkeel/core/wire/frames.ts";

/** From the first packet to the answer. */
const OPEN_TIMEOUT_MS = 500;
/** Of an HTTP answer that is shown. */
const REASON_LENGTH_MAX = 300;

export interface UpgradeOptions {
  /** Base URL of the scheduler. */
  url: string;
  token: string;
  onOpen(socket: Socket, head: Buffer): void;
  /** Answered, but not with the upgrade. */
  onRefused(reason: string): void;
  /** Not answered; perhaps told again after it was cancelled. */
  onFailed(reason: string): void;
}

/** Tells one of the three, never before it has returned. */
export function requestUpgrade(options: UpgradeOptions): { cancel(): void } {
  const { url, onOpen, onRefused, onFailed } = options;
  let request: ClientRequest;
  try {
    request = send(options);
  } catch (error) {
    process.nextTick(onFailed, `${url}: ${(error as Error).message}`); // a URL that cannot be one
    return { cancel: () => {} };
  }
  request.on("upgrade", ({ headers }, socket: Socket, head) => {
    if (headers.upgrade?.toLowerCase() === SETTLE_PROTOCOL) {
      onOpen(socket, head);
      return;
    }
    socket.destroy();
    onRefused(
      `the scheduler upgrades to another protocol: ${String(headers.upgrade).slice(0, REASON_LENGTH_MAX)}`,
    );
  });
  request.on("response", (response) => {
    void startOf(response).then((text) => {
      onRefused(`the scheduler opens no connection for settles: ${response.statusCode} ${text}`);
    });
  });
  request.on("timeout", () => onFailed(`not open within ${OPEN_TIMEOUT_MS} ms`));
  request.on("error", (error) => onFailed(error.message));
  request.end();
  return { cancel: () => request.destroy() };
}

function send({ url, token }: UpgradeOptions): ClientRequest {
  const { request } = url.startsWith("https:") ? https : http;
  const headers = {
    connection: "Upgrade",
    upgrade: SETTLE_PROTOCOL,
    ...(token !== "" && { authorization: `Bearer ${token}` }),
  };
  return request(`${url}${SETTLE_PATH}`, { headers, agent: false, timeout: OPEN_TIMEOUT_MS });
}

async function startOf(response: IncomingMessage): Promise<string> {
  let text = "";
  try {
    for await (const chunk of response.setEncoding("utf8")) {
      text += chunk;
      if (text.length >= REASON_LENGTH_MAX) break;
    }
  } catch {
    // What came is enough.
  }
  return text.slice(0, REASON_LENGTH_MAX);
}
