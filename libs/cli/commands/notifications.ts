// `evenkeel notifications`: those that no receiver took, and what to do with them.
import type { DeadLetter } from "@evenkeel/core/wire/dead-letter.ts";
import { type Arguments, type Command, UsageError } from "../command.ts";
import { findCluster, URL_FLAG } from "../find-cluster.ts";
import { printable, renderEvent } from "./events-view.ts";

export const notifications: Command = {
  name: "notifications",
  summary: "show the notifications that no webhook took, send or remove them",
  positionals: [],
  flags: {
    url: URL_FLAG,
    retry: { type: "string", value: "ID", help: "send this one again, or `all`" },
    clear: { type: "string", value: "ID", help: "remove this one, or `all`" },
    json: { type: "boolean", help: "print {letters, size, retrying} as JSON, on one line" },
  },

  async run(args, context) {
    const act = actionOf(args);
    const api = await findCluster(args, context);
    if (act?.flag === "retry") {
      context.print(`${await api.retryLetters(act.id)} will be sent again`);
    } else if (act) {
      context.print(`${await api.removeLetters(act.id)} removed`);
    } else {
      const dead = await api.deadLetters();
      if (args.given("json")) context.print(JSON.stringify(dead));
      else {
        const { letters, size, retrying } = dead;
        for (const letter of letters.toReversed()) context.print(renderLetter(letter, Date.now()));
        const more = size > letters.length ? `, the newest ${letters.length} shown` : "";
        context.print(`${size} dead${more}, ${retrying} about to be sent again`);
      }
    }
    return 0;
  },
};

function actionOf(args: Arguments): { flag: "retry" | "clear"; id: string } | null {
  const [retry, clear] = [args.text("retry"), args.text("clear")];
  if (retry !== null && clear !== null) throw new UsageError("--retry and --clear do not go together");
  if (retry !== null) return { flag: "retry", id: retry };
  return clear === null ? null : { flag: "clear", id: clear };
}

const renderLetter = ({ id, webhook, event, attempts, reason }: DeadLetter, nowMs: number): string =>
  printable(`${id}  ${webhook}  ${attempts} attempts, ${reason}  ${renderEvent(event, nowMs)}`);
