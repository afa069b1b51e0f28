// For tests of an open HTTP listener: clients in plain text and TLS.
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import type { ListenerDocument } from "@evenkeel/core/config/schema.ts";
import { expect, onTestFinished } from "vitest";
import { createListeners } from "../listeners/listeners.ts";
import { answer, certificateFile, listenerOf, type Seen, testOpeners } from "./http-listener.ts";

export const GET_1 = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
export const pair = (name: string) => ({
  cert: certificateFile(`${name}.pem`),
  key: certificateFile(`${name}.key`),
});
export const ca = readFileSync(certificateFile("ca.pem"));
export const TLS = { certificates: [pair("a"), pair("b")] };
export const clientPair = (name: string) => ({
  cert: readFileSync(pair(name).cert),
  key: readFileSync(pair(name).key),
});

/** An open listener; answers "ok" unless `handle` does. */
export async function startListener(
  document: Partial<ListenerDocument> = {},
  handle: (seen: Seen) => void = ({ incoming }) => answer(incoming),
) {
  const test = testOpeners(handle);
  const listeners = createListeners({
    openers: test.openers,
    portOffset: 0,
    closeDeadlineMs: 0,
    onFailing() {},
  });
  onTestFinished(() => listeners.close(0, 0));
  const configure = (document: Partial<ListenerDocument>) => listeners.configure([listenerOf(document)]);
  expect(await configure(document)).toEqual([]);
  const port = Number(new URL(listeners.open()[0]?.url ?? "").port);
  return { ...test, listeners, configure, port };
}

export function tcp(port: number, text = "") {
  const socket = connect(port, "127.0.0.1");
  return watch(socket, text);
}

export function tls(port: number, options: ConnectionOptions = {}, text = "") {
  const socket = connectTls({ port, host: "127.0.0.1", servername: "a.example", ca, ...options });
  return { ...watch(socket, text), socket };
}

export function watch<S extends Socket>(socket: S, text: string) {
  const seen = { socket, received: "", closed: false };
  socket.on("data", (chunk: Buffer) => {
    seen.received += chunk.toString("latin1");
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    seen.closed = true;
  });
  if (text !== "") socket.write(text);
  onTestFinished(() => void socket.destroy());
  return {
    socket,
    received: () => seen.received,
    closed: () => seen.closed,
  };
}

export const secured = async ({ socket }: { socket: TLSSocket }) => {
  await new Promise((resolve) => socket.once("secureConnect", resolve).once("close", resolve));
  return socket;
};

/** The common name that the listener shows. */
export async function shown(port: number, options: ConnectionOptions = {}) {
  const socket = await secured(tls(port, { ...options, checkServerIdentity: () => undefined }));
  return {
    name: socket.getPeerCertificate().subject.CN,
    fingerprint: socket.getPeerCertificate().fingerprint256,
  };
}
