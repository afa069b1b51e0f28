// A TCP probe: whether something accepts a connection. Nothing is sent.
import { connect } from "node:net";
import { attempt, type ProbeResult, reasonOf } from "./attempt.ts";

export function probeTcp(url: string, timeoutMs: number): Promise<ProbeResult> {
  return attempt(timeoutMs, (done) => {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 80) });
    socket.on("connect", () => done(true, "connected"));
    socket.on("error", (error) => done(false, reasonOf(error)));
    return socket;
  });
}
