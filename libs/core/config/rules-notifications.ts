// What a schema cannot say of who is told: webhooks are told apart by name, can be reached, and ask for pools there are.
import { type Problem, pointer, shown } from "./problem.ts";
import { entries, type Rule, repeated } from "./rule.ts";
import { didYouMean } from "./suggest.ts";

export const NOTIFICATION_RULES: Record<string, Rule> = {
  uniqueWebhooks,
  webhookUrls,
  webhookPools,
  webhookEvents,
};

const at = (...parts: (string | number)[]) => pointer("notifications", ...parts);

function* uniqueWebhooks({ notifications }: Parameters<Rule>[0]): Generator<Problem> {
  yield* repeated(
    notifications ?? [],
    ({ name }) => name,
    (n) => at(n, "name"),
    "name",
  );
}

/** What could be a secret is not part of a message. */
function* webhookUrls({ notifications }: Parameters<Rule>[0]): Generator<Problem> {
  for (const [n, { url: text }] of entries(notifications)) {
    if (text === undefined) continue;
    const url = URL.parse(text);
    const path = at(n, "url");
    if (url === null || !/^https?:$/.test(url.protocol))
      yield { path, message: "must be a URL such as https://pager.example.com/hooks/evenkeel" };
    else if (url.username !== "" || url.password !== "")
      yield { path, message: "must not hold credentials: the signature of `secretFile` says who sends" };
    else if (url.hash !== "") yield { path, message: "must not hold a fragment: it is never sent" };
  }
}

function* webhookPools({ notifications, pools }: Parameters<Rule>[0]): Generator<Problem> {
  const names = pools?.map((pool) => pool?.name);
  for (const [n, webhook] of entries(notifications)) {
    yield* repeated(
      webhook.pools ?? [],
      (name) => name,
      (i) => at(n, "pools", i),
      "pool",
    );
    if (!names?.every((name) => name !== undefined)) continue;
    for (const [i, name] of entries(webhook.pools)) {
      if (names.includes(name)) continue;
      yield { path: at(n, "pools", i), message: `there is no pool ${shown(name)}${didYouMean(name, names)}` };
    }
  }
}

function* webhookEvents({ notifications }: Parameters<Rule>[0]): Generator<Problem> {
  for (const [n, { events }] of entries(notifications)) {
    yield* repeated(
      events ?? [],
      (event) => event,
      (i) => at(n, "events", i),
      "event",
    );
  }
}
