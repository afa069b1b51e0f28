// A TCP probe: whether something accepts a connection and, if asked to, answers what it should.
import { connect, type Socket } from "node:net";
import type { TcpProbing } from "@evenkeel/core/config/resolve-health.ts";
import { attempt, type Done, type Probe, reasonOf } from "./attempt.ts";
import { targetOf } from "./exchange.ts";
import { probeLookup } from "./lookup.ts";

const RECEIVED_MAX_BYTES = 16 * 1024;
const LACKING = "answer lacks the expected text";

/** @throws for a url that is none */
export function tcpProbe(url: string, { port: own, send, expect, timeoutMs }: TcpProbing): Probe {
  const { host, port } = targetOf(url, own, null);
  const expected = expect === null ? null : Buffer.from(expect).toString("latin1");
  return () =>
    attempt(timeoutMs, (done) => {
      const socket = connect({ host, port, lookup: probeLookup });
      socket.on("error", (error) => done(false, reasonOf(error)));
      socket.on("connect", () => {
        // Written at once, or the verdict would close the connection before it is sent.
        const sent = () => expected === null && done(true, "connected");
        if (send === null) sent();
        else socket.write(send, sent);
      });
      if (expected !== null) lookFor(expected, socket, done);
      return socket;
    });
}

function lookFor(expected: string, socket: Socket, done: Done): void {
  let received = "";
  socket.on("data", (chunk: Buffer) => {
    received += chunk.toString("latin1", 0, RECEIVED_MAX_BYTES - received.length);
    if (received.includes(expected)) done(true, "answered as expected");
    else if (received.length >= RECEIVED_MAX_BYTES) done(false, LACKING);
  });
  socket.on("end", () => done(false, received === "" ? "closed without an answer" : LACKING));
}
