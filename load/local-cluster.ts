// A bounded cluster on this machine for one load run: three backends, `evenkeel up`, and a control URL through which
// the load script kills and revives a backend at the moment it has chosen.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";

const ROOT = dirname(import.meta.dirname);
const START_TIMEOUT_MS = 60_000;
/** Longer than the drain deadline of the services. */
const STOP_TIMEOUT_MS = 40_000;

/** As load/cluster.yaml names them; the delays make the backends unequal. */
const BACKENDS: Record<string, { port: number; delayMs: number }> = {
  "backend-1": { port: 18181, delayMs: 5 },
  "backend-2": { port: 18182, delayMs: 10 },
  "backend-3": { port: 18183, delayMs: 20 },
};

export interface LocalCluster {
  gatewayUrls: string[];
  /** Answers `POST /kill/{backend}` (SIGKILL) and `POST /revive/{backend}`. */
  controlUrl: string;
  stop(): Promise<void>;
}

/** @throws when the cluster is not ready in time; what was started is stopped again */
export async function startLocalCluster(): Promise<LocalCluster> {
  const backends = new Map(Object.keys(BACKENDS).map((id) => [id, startBackend(id)]));
  const cluster = startCluster();
  const control = createControl(backends);
  const stop = async () => {
    control.close();
    control.closeAllConnections();
    await end(cluster, "SIGTERM");
    await Promise.all([...backends.values()].map((backend) => end(backend, "SIGKILL")));
  };
  try {
    control.listen(0, "127.0.0.1");
    await once(control, "listening");
    const gatewayUrls = await readGatewayUrls(cluster);
    return { gatewayUrls, controlUrl: `http://127.0.0.1:${(control.address() as AddressInfo).port}`, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function createControl(backends: Map<string, ChildProcess>): Server {
  return createServer(async (request, response) => {
    const [, action, id = ""] = (request.url ?? "").split("/");
    const backend = backends.get(id);
    if (request.method !== "POST" || backend === undefined) return response.writeHead(404).end();
    if (action === "kill") await end(backend, "SIGKILL");
    else if (action === "revive") backends.set(id, startBackend(id));
    else return response.writeHead(404).end();
    process.stderr.write(`load: ${action} ${id}\n`);
    return response.end();
  });
}

function startBackend(id: string): ChildProcess {
  const { port, delayMs } = BACKENDS[id] as { port: number; delayMs: number };
  const env = { BACKEND_ID: id, BACKEND_PORT: String(port), BACKEND_DELAY_MS: String(delayMs) };
  return runNode(["libs/cli/demo/backend.ts"], "ignore", env);
}

function startCluster(): ChildProcess {
  const config = join(ROOT, "load/cluster.yaml");
  const replicas = ["--gateways", "3", "--schedulers", "2", "--monitors", "2"];
  return runNode(["libs/cli/main.ts", "up", "--config", config, ...replicas, "--json"], "pipe");
}

function runNode(args: string[], stdout: "pipe" | "ignore", env: NodeJS.ProcessEnv = {}): ChildProcess {
  return spawn(process.execPath, args, {
    cwd: ROOT,
    stdio: ["ignore", stdout, "inherit"],
    env: { ...process.env, ...env },
  });
}

/** Reads the lines of `evenkeel up --json` until the one that says the cluster is ready. */
async function readGatewayUrls(cluster: ChildProcess): Promise<string[]> {
  const gatewayUrls: string[] = [];
  const ready = (async () => {
    for await (const line of createInterface({ input: cluster.stdout as NodeJS.ReadableStream })) {
      const report = JSON.parse(line);
      if (report.role === "gateway") gatewayUrls.push(report.url);
      if (report.role === "cluster" && report.ready) return gatewayUrls;
    }
    throw new Error("`evenkeel up` ended before the cluster was ready");
  })();
  const late = AbortSignal.timeout(START_TIMEOUT_MS);
  const timeout = once(late, "abort").then(() => {
    throw new Error(`the cluster was not ready within ${START_TIMEOUT_MS} ms`);
  });
  const urls = await Promise.race([ready, timeout]);
  cluster.stdout?.resume();
  return urls;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill(signal);
  const hard = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(hard);
}
