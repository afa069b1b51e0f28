// The compose file as a running stack: a project of its own, on ports of its own, beside whatever else runs here.
import { execFile } from "node:child_process";
import { dirname } from "node:path";
import { promisify } from "node:util";

const ROOT = dirname(dirname(import.meta.dirname));
const PROJECT = "evenkeel-test";
const COMMAND_TIMEOUT_MS = 300_000;
const OUTPUT_LIMIT_BYTES = 16 * 1024 * 1024;

export const TOKEN = "token-of-the-compose-test";
const SETTINGS = { EVENKEEL_TOKEN: TOKEN, GATEWAY_PORTS: "28080-28089", SCHEDULER_PORTS: "27700-27709" };

const NO_ENGINE =
  "No Docker Engine answers. This test needs one with Compose: `apt-get install docker.io docker-compose` on Debian, " +
  "or https://docs.docker.com/engine/install/; start it, and see that `docker info` works for this user.";

export interface Container {
  id: string;
  name: string;
  running: boolean;
  health: string;
  /** Where the published port of a gateway or scheduler answers; null for the others and while it is stopped. */
  url: string | null;
}

export const docker = (...args: string[]) => run(["docker"], args);
export const compose = async (...args: string[]) =>
  run(await composeProgram(), ["--project-name", PROJECT, ...args]);

/** @throws with what to do, on a machine without Docker Engine or Compose */
export async function requireEngine(): Promise<void> {
  if (!(await works(["docker", "info"]))) throw new Error(NO_ENGINE);
  await composeProgram();
}

/** Compose is a plugin of Docker in version 2, and was a program of its own before. */
async function composeProgram(): Promise<string[]> {
  for (const program of [["docker", "compose"], ["docker-compose"]]) {
    if (await works([...program, "version"])) return program;
  }
  throw new Error(NO_ENGINE);
}

/** The containers of a service, stopped ones too, in the order of their names. */
export async function containersOf(service?: string): Promise<Container[]> {
  const labels = [`project=${PROJECT}`, "oneoff=False", ...(service ? [`service=${service}`] : [])];
  const filters = labels.flatMap((label) => ["--filter", `label=com.docker.compose.${label}`]);
  const ids = (await docker("ps", "--all", "--quiet", ...filters)).split("\n").filter((id) => id !== "");
  if (ids.length === 0) return [];
  const found = JSON.parse(await docker("inspect", ...ids)) as Inspected[];
  return found.map(toContainer).sort((a, b) => a.name.localeCompare(b.name));
}

export async function containerOf(service: string): Promise<Container> {
  const [container] = await containersOf(service);
  if (container === undefined) throw new Error(`no container of ${service}`);
  return container;
}

export const hasImage = (image: string) => works(["docker", "image", "inspect", image]);

interface Inspected {
  Id: string;
  Name: string;
  State: { Running: boolean; Health?: { Status: string } };
  NetworkSettings: { Ports: Record<string, { HostIp: string; HostPort: string }[] | null> };
}

function toContainer({ Id, Name, State, NetworkSettings }: Inspected): Container {
  const published = Object.values(NetworkSettings.Ports).find((bindings) => bindings?.length)?.[0];
  return {
    id: Id,
    name: Name.slice(1),
    running: State.Running,
    health: State.Health?.Status ?? "none",
    url: published ? `http://${published.HostIp}:${published.HostPort}` : null,
  };
}

const works = (command: string[]) =>
  run(command, []).then(
    () => true,
    () => false,
  );

async function run([program = "", ...first]: string[], args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, [...first, ...args], {
    cwd: ROOT,
    env: { ...process.env, ...SETTINGS },
    timeout: COMMAND_TIMEOUT_MS,
    maxBuffer: OUTPUT_LIMIT_BYTES,
  });
  return stdout;
}
