// Collects what a source tells, to be waited for.
import { until } from "../../test-support/until.ts";
import type { SourceAnswer, SourceStart } from "../source.ts";

export function collectAnswers(known: SourceStart["known"] = [], pool = "shop") {
  const answers: SourceAnswer[] = [];
  const start: SourceStart = { pool, known, tell: (answer) => answers.push(answer) };
  const last = () => answers.at(-1);
  return {
    answers,
    start,
    last,
    /** The ids of the last answer, in order; null after a failure. */
    ids() {
      const answer = last();
      return answer?.ok ? answer.backends.map(({ id }) => id).toSorted() : null;
    },
    reason() {
      const answer = last();
      return answer && !answer.ok ? answer.reason : null;
    },
    until: (what: string, condition: () => boolean) => until(what, condition),
  };
}
