// A GET to a backend, on a connection of its own, so that a kept-alive one never hides a listener that is gone.
import { type ClientRequest, request } from "node:http";

/** @param origin http://host:port @throws for a path that cannot be sent, or an origin that is none */
export function get(origin: string, path: string, accept: string): ClientRequest {
  const { hostname, port, host } = new URL(origin);
  const asked = request({
    hostname: hostname.replace(/^\[|\]$/g, ""),
    port: port || 80,
    path,
    agent: false,
    headers: { host, connection: "close", accept, "user-agent": "evenkeel-health-monitor" },
  });
  asked.end();
  return asked;
}
