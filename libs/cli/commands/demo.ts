// `evenkeel demo` (npm start): a small cluster with backends of different speed, and what to try with it.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { readEnvironment } from "@evenkeel/runtime/environment.ts";
import type { Command, Context } from "../command.ts";
import { readConfigFile } from "../config-file.ts";
import { demoGuide } from "../demo/guide.ts";
import { chooseDemoPorts } from "../demo/ports.ts";
import { runCluster } from "../supervisor/run.ts";
import { type ProcessPlan, type ReadyProcess, type Supervised, supervise } from "../supervisor/supervise.ts";
import { readyLine } from "./up.ts";

const EXAMPLE = fileURLToPath(new URL("../../../examples/demo.yaml", import.meta.url));
const BACKEND = fileURLToPath(new URL("../demo/backend.ts", import.meta.url));
const SIZE = { gateways: 2, schedulers: 1, monitors: 1 };
/** How long each backend takes over a request, in the order of the example. */
const DELAYS_MS = [20, 60, 180];
/** Long enough to see that it is gone, short enough to see it come back. */
const BACKEND_RETURN_MS = 15_000;
const BACKEND_STOP_MS = 2_000;

export const demo: Command = {
  name: "demo",
  summary: "run a small cluster with demo backends, and say what to try",
  positionals: [],
  flags: {},

  async run(_args, context) {
    readEnvironment(context.env);
    const parsed = await readConfigFile(EXAMPLE, context.directory);
    if (!parsed.ok) throw new Error(`${EXAMPLE} is not valid`);
    const document = await chooseDemoPorts(parsed.document, SIZE.gateways, context.print);
    const directory = await mkdtemp(join(tmpdir(), "evenkeel-demo-"));
    try {
      await runDemo(document, directory, context);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
    return 0;
  },
};

async function runDemo(document: ConfigDocument, directory: string, context: Context): Promise<void> {
  const configFile = join(directory, "demo.json");
  await writeFile(configFile, JSON.stringify(document, null, 2));
  const processes = new Map<string, ReadyProcess>();
  let guided = false;
  const onReady = (process: ReadyProcess) => {
    processes.set(process.id, process);
    context.print(guided ? `back:  ${readyLine(process)}` : readyLine(process));
  };
  // Warnings only: what people look at here is the guide.
  const env = { EVENKEEL_LOG_LEVEL: "warn", ...context.env };
  const backends = startBackends(document, context, onReady);
  try {
    await Promise.all(backends.map(({ firstReady }) => firstReady));
    await runCluster(
      {
        document,
        configFile,
        size: SIZE,
        redisUrl: null,
        prefix: null,
        restart: true,
        onReady,
        onUp() {
          guided = true;
          context.print(demoGuide([...processes.values()], BACKEND_RETURN_MS / 1_000));
        },
      },
      { ...context, env },
    );
  } finally {
    await Promise.all(backends.map((backend) => backend.stop(context.force)));
  }
}

function startBackends(
  document: ConfigDocument,
  { env, say }: Context,
  onReady: (process: ReadyProcess) => void,
): Supervised[] {
  const backends = document.pools.flatMap((pool) => pool.backends);
  return backends.map(({ id, url }, i) => {
    const plan: ProcessPlan = {
      role: "backend",
      id,
      script: BACKEND,
      env: {
        ...env,
        BACKEND_ID: id,
        BACKEND_PORT: new URL(url).port,
        BACKEND_DELAY_MS: String(DELAYS_MS[i] ?? 0),
      },
      stopTimeoutMs: BACKEND_STOP_MS,
      restartDelayMs: () => BACKEND_RETURN_MS,
    };
    return supervise(plan, {
      onReady,
      onDeath: (_, pid, how) =>
        say(`backend ${id} (pid ${pid}) died: ${how}; it comes back in ${BACKEND_RETURN_MS / 1_000} s`),
    });
  });
}
