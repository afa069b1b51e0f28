// One request and its answer over HTTP/1.1, on a connection of its own, so that a kept-alive one never hides a listener
// that is gone. On a bare socket: node:http would cost several times as much, and probes are many.
import { connect } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { authorityOf, type BackendAddress, backendAddress } from "@evenkeel/core/config/backend-url.ts";
import type { BackendTls } from "@evenkeel/core/config/resolve-resilience.ts";
import { attempt, type Done, type ProbeResult, reasonOf } from "./attempt.ts";
import type { HttpAnswer } from "./http-answer.ts";
import { probeLookup } from "./lookup.ts";
import { probeTls } from "./probe-tls.ts";

export interface Target {
  host: string;
  port: number;
  /** What stands in Host. */
  authority: string;
  /** Null: plain text. Reads files, so it may throw. */
  tls: (() => ConnectionOptions) | null;
}

export interface Wish {
  method: string;
  path: string;
  accept: string;
  /** Null: the target's. */
  host?: string | null;
  headers?: Record<string, string>;
}

/** Told after every part of the answer; `done` as soon as it is known. */
export type Judge = (answer: HttpAnswer, done: Done) => void;

/** All sockets read into it: what arrives is looked at before the next one does. */
const ARRIVED = Buffer.allocUnsafeSlow(64 * 1024);

/**
 * By TLS for https://, else in plain text, also to where tcp:// points.
 * @throws for a url that is none
 */
export function targetOf(
  url: string,
  port: number | null,
  tls: BackendTls | null,
  servername: string | null = null,
): Target {
  const address = backendAddress(url);
  if (address === null) throw new Error(`not the url of a backend: ${url}`);
  const at: BackendAddress = { ...address, port: port ?? address.port };
  const options = at.scheme === "https" ? () => probeTls(tls, at.host, servername) : null;
  return { host: at.host, port: at.port, authority: authorityOf(at), tls: options };
}

/** @throws for what cannot be sent */
export function requestOf({ authority }: Target, { method, path, accept, host, headers = {} }: Wish): Buffer {
  const own = {
    host: host ?? authority,
    connection: "close",
    accept,
    "user-agent": "evenkeel-health-monitor",
  };
  const named = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  const all = Object.entries({ ...own, ...Object.fromEntries(named) });
  if (!/^[\x21-\x7e]+$/.test(path)) throw new Error("a path that cannot be sent");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what would break the request apart
  if (all.some(([, value]) => /[\u0000-\u0008\u000a-\u001f\u007f]/.test(value)))
    throw new Error("a header that cannot be sent");
  const lines = all.map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
}

export function exchange(
  target: Target,
  request: Buffer,
  timeoutMs: number,
  answer: HttpAnswer,
  judge: Judge,
): Promise<ProbeResult> {
  return attempt(timeoutMs, (done) => {
    const take = (chunk: Buffer) => {
      try {
        answer.feed(chunk.toString("latin1"));
        judge(answer, done);
      } catch (error) {
        done(false, reasonOf(error as Error));
      }
    };
    const closed = () => {
      try {
        answer.close();
        judge(answer, done);
      } catch {
        done(false, "ECONNRESET");
      }
    };
    const socket = target.tls ? openTls(target, target.tls(), take) : openPlain(target, take);
    socket.on("error", (error) => done(false, reasonOf(error)));
    socket.on("end", closed);
    socket.on("close", closed);
    socket.write(request);
    return socket;
  });
}

function openPlain({ host, port }: Target, take: (chunk: Buffer) => void) {
  const socket = connect({
    host,
    port,
    lookup: probeLookup,
    onread: {
      buffer: ARRIVED,
      callback(bytes, buffer) {
        take((buffer as Buffer).subarray(0, bytes));
        return true;
      },
    },
  });
  return socket;
}

function openTls({ host, port }: Target, options: ConnectionOptions, take: (chunk: Buffer) => void) {
  const socket = connectTls({ host, port, lookup: probeLookup, ...options });
  socket.on("data", take);
  return socket;
}
