// One request on its way through the rows of a route's access. Rows that know at once do not leave the stack; others
// hold the turn and resume it.
import { addField, type Fields, STEP } from "../messages/fields.ts";
import type { AccessRequest, Grant, Refusal } from "./access.ts";

/** A refusal, null to go on, or LATER: the row calls `turn.resume` once, after its `check` has returned. */
export type Verdict = Refusal | null | typeof LATER;
export const LATER = undefined;

export interface Row {
  /** For metrics. */
  readonly name: string;
  check(turn: Turn): Verdict;
}

/** Who it is, said by what: the same name may be a key's and a user's. */
export interface Consumer {
  kind: "certificate" | "key" | "user" | "subject";
  name: string;
}

/** What the rows of one route have in common. */
export interface Plan {
  rows: readonly Row[];
  /** In lower case: credentials that stay here, and all that grants may set. */
  remove: readonly string[];
  /** The same with dashes for underscores. */
  removed: ReadonlySet<string>;
  consumerHeader: string | null;
  onRefused(row: string): void;
  onFault(row: string, error: unknown): void;
}

type Done = (refusal: Refusal | null, grant: Grant | null) => void;

const NOTHING: Fields = [];
const FAULT: Refusal = {
  status: 500,
  text: "Whether this request may pass could not be found out",
  body: null,
  fields: [],
};

export class Turn {
  readonly request: AccessRequest;
  consumer: Consumer | null = null;
  set: Fields | null = null;
  answer: Fields | null = null;
  readonly #plan: Plan;
  readonly #done: Done;
  #at = 0;

  constructor(plan: Plan, request: AccessRequest, done: Done) {
    this.#plan = plan;
    this.request = request;
    this.#done = done;
  }

  run(): void {
    const { rows } = this.#plan;
    while (this.#at < rows.length) {
      const row = rows[this.#at] as Row;
      this.#at += 1;
      const verdict = this.#verdictOf(row);
      if (verdict === LATER) return;
      if (verdict !== null) {
        this.#refuse(row, verdict);
        return;
      }
    }
    this.#done(null, this.#grant());
  }

  resume(verdict: Refusal | null): void {
    if (verdict === null) this.run();
    else this.#refuse(this.#plan.rows[this.#at - 1] as Row, verdict);
  }

  /** A certificate says it only where nothing else does. */
  identify(kind: Consumer["kind"], name: string): void {
    if (this.consumer === null || this.consumer.kind === "certificate") this.consumer = { kind, name };
  }

  setField(name: string, value: string): void {
    this.set ??= [];
    addField(this.set, name, value);
  }

  answerField(name: string, value: string): void {
    this.answer ??= [];
    this.answer.push(name, name.toLowerCase(), value);
  }

  #verdictOf(row: Row): Verdict {
    try {
      return row.check(this);
    } catch (error) {
      this.#plan.onFault(row.name, error);
      return FAULT;
    }
  }

  #refuse(row: Row, refusal: Refusal): void {
    this.#plan.onRefused(row.name);
    this.#done(refusal, null);
  }

  #grant(): Grant | null {
    const { remove, removed, consumerHeader } = this.#plan;
    if (consumerHeader !== null && this.consumer !== null) {
      const value = fieldValue(this.consumer.name);
      if (value !== null) this.setField(consumerHeader, value);
    }
    if (remove.length === 0 && this.set === null && this.answer === null) return null;
    const alike = remove.length === 0 ? null : namesRead(this.request.head.fields, removed);
    return {
      set: this.set ?? NOTHING,
      remove: alike === null ? remove : [...remove, ...alike],
      answer: this.answer ?? NOTHING,
    };
  }
}

/**
 * Names that a backend may take for one of `removed` though they differ: what passes headers on as variables of an
 * environment (CGI, WSGI, PHP) reads x_user as x-user.
 */
function namesRead(fields: Fields, removed: ReadonlySet<string>): string[] | null {
  let found: string[] | null = null;
  for (let i = 1; i < fields.length; i += STEP) {
    const name = fields[i] as string;
    if (!name.includes("_") || !removed.has(name.replaceAll("_", "-"))) continue;
    found ??= [];
    found.push(name);
  }
  return found;
}

/** Longest value a grant sets, bytes: header sections are bounded at backends, too. */
const VALUE_BYTES_MAX = 4_096;
const UNSENDABLE = /[^\x20-\x7e\x80-\xff]/;
const NOT_ASCII = /[^\x20-\x7e]/;

/** As it can stand in a field, in UTF-8 where need be; null where it cannot. */
export function fieldValue(text: string): string | null {
  return sendable(NOT_ASCII.test(text) ? Buffer.from(text.trim(), "utf8").toString("latin1") : text.trim());
}

/** The same for what came in a field: it is Latin-1 already. */
export const sendable = (value: string): string | null =>
  value.length > VALUE_BYTES_MAX || UNSENDABLE.test(value) ? null : value;
