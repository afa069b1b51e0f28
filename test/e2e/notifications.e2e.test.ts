// From a backend that dies to whoever has to know: the pool's log, the command line and a webhook tell the same event.
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Webhook } from "standardwebhooks";
import { afterEach, expect, inject, it } from "vitest";
import { waitFor } from "../support/cluster.ts";
import { run } from "../support/run.ts";
import { openScene } from "../support/scene.ts";

const CLI = fileURLToPath(new URL("../../libs/cli/bin/evenkeel.js", import.meta.url));
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Told {
  headers: Record<string, string>;
  text: string;
}

async function startReceiver(told: Told[]): Promise<Server> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    told.push({ headers: request.headers as Record<string, string>, text: Buffer.concat(chunks).toString() });
    response.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => server.close());
  return server;
}

it("a backend that dies is told of by the log, the command line and a signed webhook, as one event", async () => {
  const told: Told[] = [];
  const receiver = await startReceiver(told);
  const directory = await mkdtemp(join(tmpdir(), "evenkeel-webhook-"));
  cleanups.push(() => rm(directory, { recursive: true, force: true }));
  const secretFile = join(directory, "secret");
  await writeFile(secretFile, SECRET);
  const scene = await openScene({
    weights: [1, 1],
    monitors: 2,
    redisUrl: inject("redisUrl"),
    pool: {
      health: { protocol: "http", path: "/healthz", intervalMs: 200, timeoutMs: 150, rise: 1, fall: 2 },
    },
    document: {
      notifications: [
        {
          name: "hook",
          url: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`,
          secretFile,
          events: ["health"],
        },
      ],
    },
  });
  cleanups.push(() => scene.end());
  const scheduler = scene.cluster.schedulers[0]?.url as string;
  const logged = async () => {
    const answer = await fetch(`${scheduler}/v1/events?type=health&backend=b1`);
    return ((await answer.json()) as { events: Record<string, unknown>[] }).events;
  };

  scene.backends[0]?.kill();
  const event = await waitFor(async () => (await logged())[0], {
    timeoutMs: 10_000,
    what: "the log to tell",
  });
  expect(event).toMatchObject({ pool: "shop", backend: "b1", from: "healthy", to: "unhealthy" });
  const first = await waitFor(() => told[0], { timeoutMs: 10_000, what: "the webhook to be called" });
  const body = new Webhook(SECRET).verify(first.text, first.headers) as Record<string, unknown>;
  expect(body).toMatchObject(event);

  const shown = await run(process.execPath, [
    CLI,
    "events",
    "--url",
    scheduler,
    "--json",
    "--type",
    "health",
  ]);
  expect(
    shown.text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))[0],
  ).toEqual(event);
}, 60_000);
