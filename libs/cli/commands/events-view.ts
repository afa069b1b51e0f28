// An event as one readable line. Pure.
import type { ShownEvent } from "@evenkeel/core/wire/shown-event.ts";

/** An agent that asks for nothing. */
const WHOLE_PERCENT = 100;
const ARROW = "→";

/** @param nowMs of today the date is left out */
export function renderEvent(event: ShownEvent, nowMs: number): string {
  return printable(`${localTime(event.atMs, nowMs)} ${where(event)} ${what(event)}`);
}

const where = (event: ShownEvent): string =>
  "backend" in event ? `${event.pool}/${event.backend}` : event.pool;

function what(event: ShownEvent): string {
  switch (event.type) {
    case "health": {
      const { from, to, reason, detail, ejections } = event;
      const again = to === "unhealthy" && ejections > 1 ? `, ${ordinal(ejections)} time lately` : "";
      return `${from} ${ARROW} ${to} (${detail ? `${reason}: ${detail}` : reason})${again}`;
    }
    case "mode":
      return `${event.from} ${ARROW} ${event.to} (operator)`;
    case "agent":
      return `its agent ${wishOf(event)}`;
    case "panic":
      return event.on
        ? "PANIC begins: too few are healthy, all active ones are used"
        : "panic is over: enough are healthy";
    case "members":
      return membersOf(event);
  }
  // Of a later release.
  return (event as { type: string }).type;
}

function membersOf({ joined, left, size, configVersion }: ShownEvent & { type: "members" }): string {
  const changes = [...named("joined", joined), ...named("left", left)].join("; ");
  return `${size} backends${changes && `: ${changes}`} (configuration ${configVersion})`;
}

const named = (word: string, ids: readonly string[]): string[] =>
  ids.length === 0 ? [] : [`${word} ${ids.join(", ")}`];

export const wishOf = ({ weightPercent, drain }: { weightPercent: number; drain: boolean }): string => {
  if (drain) return "asks for no new requests";
  return weightPercent === WHOLE_PERCENT
    ? "asks for nothing any more"
    : `asks for ${weightPercent} % of its weight`;
};

export function ordinal(n: number): string {
  const last = n % 100 >= 11 && n % 100 <= 13 ? 0 : n % 10;
  return `${n}${["th", "st", "nd", "rd"][last] ?? "th"}`;
}

/** What a backend said may end up in a line: nothing in it moves the cursor of a terminal. */
export const printable = (text: string): string => text.replace(/\p{Cc}/gu, "?");

function localTime(atMs: number, nowMs: number): string {
  const at = new Date(atMs);
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
  const today = at.toDateString() === new Date(nowMs).toDateString();
  return today ? time : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

const two = (n: number): string => String(n).padStart(2, "0");
