// Whether what came on a connection for settles is one, judged by the schema that POST …/settle has.
import { NAME_PATTERN } from "@evenkeel/core/config/schema.ts";
import type { Refusal } from "@evenkeel/core/wire/frames.ts";
import { type SettleRequest, SettleRequestSchema } from "@evenkeel/core/wire/settle.ts";
import { Compile } from "typebox/compile";

const statements = Compile(SettleRequestSchema);
const names = new RegExp(NAME_PATTERN);

export function checkSettle(pool: string, statement: unknown): { request: SettleRequest } | Refusal {
  if (!names.test(pool)) return invalid("pool is no name", "/pool");
  if (statements.Check(statement)) return { request: statement };
  // The deepest fault is the one to name: what surrounds it is at fault only because of it.
  const [fault] = statements.Errors(statement).sort((a, b) => depth(b.instancePath) - depth(a.instancePath));
  const { requiredProperties, additionalProperties } = (fault?.params ?? {}) as Record<string, string[]>;
  const [property] = requiredProperties ?? additionalProperties ?? [];
  const at = `${fault?.instancePath ?? ""}${property === undefined ? "" : `/${property}`}`;
  return invalid(fault?.message ?? "is no statement", at);
}

const depth = (path: string): number => path.split("/").length;

const invalid = (reason: string, at: string): Refusal => ({
  status: 400,
  code: "invalid_request",
  error: `statement${at} ${reason}`,
  at,
});
