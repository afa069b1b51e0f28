// `evenkeel up`: a whole cluster of real processes on this machine, from one configuration file.
import { resolve } from "node:path";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { redisAddressFault } from "@evenkeel/runtime/redis-address.ts";
import { type Arguments, type Command, type Context, UsageError, wholeNumber } from "../command.ts";
import { loadConfig } from "../config-file.ts";
import { runCluster } from "../supervisor/run.ts";
import type { ReadyProcess } from "../supervisor/supervise.ts";
import { exampleRequest } from "./example-request.ts";

const LARGEST = 64;

export const up: Command = {
  name: "up",
  summary: "run a whole cluster on this machine",
  positionals: [],
  flags: {
    config: { type: "string", value: "FILE", help: "the configuration; made the applied one" },
    gateways: {
      type: "string",
      value: "N",
      help: "default 1; they take consecutive ports from each listener's",
    },
    schedulers: { type: "string", value: "N", help: "default 1" },
    monitors: { type: "string", value: "N", help: "health-monitors; default 1" },
    redis: { type: "string", value: "URL", help: "default: EVENKEEL_REDIS_URL, else one is started" },
    prefix: { type: "string", value: "P", help: "first part of every Redis key" },
    json: { type: "boolean", help: "one JSON line per process when it is ready" },
    "no-restart": { type: "boolean", help: "do not start again what dies" },
  },
  details: `The services' logs go to standard error; without --json only warnings, unless EVENKEEL_LOG_LEVEL says more.
SIGINT or SIGTERM drains and stops everything; a second Ctrl-C stops it at once.
Every EVENKEEL_* variable that is set here is passed on to the services.`,

  async run(args, context) {
    const file = args.text("config");
    if (file === null) throw new UsageError("up needs --config FILE");
    const size = {
      gateways: wholeNumber(args, "gateways", 1, [1, LARGEST]),
      schedulers: wholeNumber(args, "schedulers", 1, [1, LARGEST]),
      monitors: wholeNumber(args, "monitors", 1, [0, LARGEST]),
    };
    const document = await loadConfig(file, context);
    if (!document) return 1;
    const env = args.given("json") ? context.env : { EVENKEEL_LOG_LEVEL: "warn", ...context.env };
    await runCluster(
      {
        document,
        configFile: resolve(context.directory, file),
        size,
        redisUrl: redisUrlOf(args),
        prefix: args.text("prefix"),
        restart: !args.given("no-restart"),
        ...reportTo(context, args, document),
      },
      { ...context, env },
    );
    return 0;
  },
};

function redisUrlOf(args: Arguments): string | null {
  const url = args.text("redis");
  const fault = url === null ? null : redisAddressFault(url);
  if (fault === null) return url;
  throw new UsageError(`--redis ${fault}`);
}

/** Lines for programs or for people. */
function reportTo({ print }: Context, args: Arguments, document: ConfigDocument) {
  if (args.given("json")) {
    return {
      onReady: (process: ReadyProcess) => print(JSON.stringify(process)),
      onUp: () => print(JSON.stringify({ role: "cluster", ready: true })),
    };
  }
  const gateways = new Map<string, string>();
  return {
    onReady(process: ReadyProcess) {
      if (process.role === "gateway") gateways.set(process.id, process.url);
      print(readyLine(process));
    },
    onUp: () => print(summary(document, [...gateways.values()].sort())),
  };
}

export const readyLine = ({ id, url, pid }: ReadyProcess): string =>
  `ready  ${id.padEnd(18)} ${url}  (pid ${pid})`;

function summary(document: ConfigDocument, gatewayUrls: readonly string[]): string {
  const requests = gatewayUrls.map((url) => exampleRequest(document, url)).filter((line) => line !== null);
  return `
The cluster is up. Try:
${[...requests, "npx evenkeel status --watch"].map((line) => `  ${line}`).join("\n")}
Ctrl-C drains and stops it.`;
}
