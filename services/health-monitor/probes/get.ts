// A GET to a backend, on a connection of its own, so that a kept-alive one never hides a listener that is gone.
import { type ClientRequest, request } from "node:http";
import { request as requestTls } from "node:https";
import { authorityOf, backendAddress } from "@evenkeel/core/config/backend-url.ts";
import type { BackendTls } from "@evenkeel/core/config/resolve-resilience.ts";
import { probeTls } from "./probe-tls.ts";

/**
 * By TLS for https://, else in plain text, also to where tcp:// points.
 * @param url of a backend @throws for a path that cannot be sent, or a url that is none
 */
export function get(url: string, path: string, accept: string, tls: BackendTls | null): ClientRequest {
  const address = backendAddress(url);
  if (address === null) throw new Error(`not the url of a backend: ${url}`);
  const { scheme, host, port } = address;
  const options = {
    hostname: host,
    port,
    path,
    agent: false,
    headers: {
      host: authorityOf(address),
      connection: "close",
      accept,
      "user-agent": "evenkeel-health-monitor",
    },
  };
  const asked = scheme === "https" ? requestTls({ ...options, ...probeTls(tls, host) }) : request(options);
  asked.end();
  return asked;
}
