// `evenkeel drain | activate | disable POOL BACKEND`: what an operator wishes of one backend.
import type { ModeAction } from "../admin-api.ts";
import type { Command } from "../command.ts";
import { findCluster, URL_FLAG } from "../find-cluster.ts";

const modeCommand = (name: ModeAction, summary: string, done: string): Command => ({
  name,
  summary,
  positionals: ["POOL", "BACKEND"],
  flags: { url: URL_FLAG },

  async run(args, context) {
    const [pool, backend] = args.positionals as [string, string];
    const api = await findCluster(args, context);
    await api.setMode(pool, backend, name);
    context.print(`${backend} of pool ${pool} ${done}`);
    return 0;
  },
});

export const drain = modeCommand("drain", "no new requests for a backend", "is draining");
export const activate = modeCommand("activate", "give a backend requests again", "is active");
export const disable = modeCommand("disable", "take a backend out of service", "is disabled");
