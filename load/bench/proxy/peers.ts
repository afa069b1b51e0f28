// The proxies that are measured beside Evenkeel: how each is started on one core in front of a backend. Settings are those
// that a user who cares would choose: one worker, kept-alive connections to the backend, forwarding headers, no access log,
// no buffering of uploads.
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../../../libs/cli/supervisor/ports.ts";
import { isInstalled, listening, type Started, startPinned, temporaryDirectory } from "./machine.ts";

export interface Peer {
  name: string;
  /** Null: it can be measured; else why not, and what to do. */
  missing(): string | null;
  start(backendPort: number, cores: string): Promise<RunningPeer>;
}

export interface RunningPeer {
  port: number;
  pid: number;
  stop(): Promise<void>;
}

/** @param modules directory with a node_modules that holds the Node proxies */
export const peers = (modules: string): Peer[] => [
  {
    name: "nginx",
    missing: () => (isInstalled("nginx") ? null : "not installed: apt-get install nginx-light"),
    start: (backend, cores) =>
      withConfig("nginx.conf", nginxConfig, backend, cores, ["nginx", "-p", ".", "-c"]),
  },
  {
    name: "HAProxy",
    missing: () => (isInstalled("haproxy") ? null : "not installed: apt-get install haproxy"),
    start: (backend, cores) =>
      withConfig("haproxy.cfg", haproxyConfig, backend, cores, ["haproxy", "-db", "-f"]),
  },
  nodePeer("@fastify/http-proxy", ["fastify", "@fastify/http-proxy"], modules),
  nodePeer("http-proxy-3", ["http-proxy-3"], modules),
];

async function withConfig(
  file: string,
  text: (port: number, backend: number, directory: string) => string,
  backend: number,
  cores: string,
  [program = "", ...args]: string[],
): Promise<RunningPeer> {
  const port = await freePort();
  const directory = temporaryDirectory();
  const path = join(directory.path, file);
  writeFileSync(path, text(port, backend, directory.path));
  const started = startPinned(cores, program, [
    ...args.map((one) => (one === "." ? directory.path : one)),
    path,
  ]);
  await listening(port);
  const stop = async () => {
    await started.stop();
    directory.remove();
  };
  return { port, pid: started.pid, stop };
}

function nodePeer(name: string, packages: readonly string[], modules: string): Peer {
  const { resolve } = createRequire(join(modules, "any.js"));
  const found = () => packages.map((one) => resolve(one));
  return {
    name,
    missing() {
      try {
        found();
        return null;
      } catch {
        return `not installed: npm install --no-save --prefix DIR ${packages.join(" ")}, then set EVENKEEL_BENCH_PEERS=DIR`;
      }
    },
    async start(backend, cores) {
      const port = await freePort();
      const program = fileURLToPath(new URL("./node-peers.ts", import.meta.url));
      const started: Started = startPinned(cores, process.execPath, [
        program,
        name,
        String(port),
        String(backend),
        ...found(),
      ]);
      await listening(port);
      return { port, pid: started.pid, stop: started.stop };
    },
  };
}

const nginxConfig = (port: number, backend: number, directory: string): string => `
worker_processes 1;
daemon off;
pid ${directory}/nginx.pid;
error_log stderr warn;
events { worker_connections 8192; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  upstream backend {
    server 127.0.0.1:${backend};
    keepalive 128;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;
    }
  }
}
`;

const haproxyConfig = (port: number, backend: number): string => `
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 2s
  timeout client 75s
  timeout server 60s
  timeout http-request 10s
  option forwardfor
  http-reuse safe
frontend web
  bind 127.0.0.1:${port}
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  default_backend all
backend all
  server b1 127.0.0.1:${backend}
`;
