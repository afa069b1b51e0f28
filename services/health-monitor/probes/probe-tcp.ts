// A TCP probe: whether something accepts a connection. Nothing is sent.
import { connect } from "node:net";
import { backendAddress } from "@evenkeel/core/config/backend-url.ts";
import { attempt, type ProbeResult, reasonOf } from "./attempt.ts";

export function probeTcp(url: string, timeoutMs: number): Promise<ProbeResult> {
  return attempt(timeoutMs, (done) => {
    const address = backendAddress(url);
    if (address === null) throw new Error(`not the url of a backend: ${url}`);
    const socket = connect({ host: address.host, port: address.port });
    socket.on("connect", () => done(true, "connected"));
    socket.on("error", (error) => done(false, reasonOf(error)));
    return socket;
  });
}
