// What a match asks of a request beside host and path, compiled into one list of checks. A route that asks for nothing
// has none, and costs nothing here.
import type { RouteMatch, ValueCondition } from "@evenkeel/core/config/resolve-routing.ts";
import { createNetworks } from "@evenkeel/core/network/networks.ts";
import { compileRegex } from "@evenkeel/core/regex/regex.ts";
import { type Fields, listOf } from "../messages/fields.ts";

export interface RoutedRequest {
  /** Name of the listener it came through. */
  listener: string;
  /** Lower case, without port. */
  host: string;
  /** Without query, as it will be forwarded. */
  path: string;
  /** Without its question mark; empty: none. */
  query: string;
  method: string;
  fields: Fields;
  /** Address of the client. */
  client: string;
}

export type Condition = (request: RoutedRequest) => boolean;

/** The cheap ones first. Null: the match asks for nothing more. */
export function compileConditions(match: RouteMatch): readonly Condition[] | null {
  const conditions: Condition[] = [];
  const { listener, methods, headers, query, clients } = match;
  if (listener !== null) conditions.push((request) => request.listener === listener);
  if (methods.length > 0) conditions.push((request) => methods.includes(request.method));
  for (const header of headers) conditions.push(headerCondition(header));
  for (const parameter of query) conditions.push(queryCondition(parameter));
  if (clients.length > 0) {
    const networks = createNetworks(clients.map((cidr) => ({ cidr, value: true })));
    conditions.push((request) => networks.find(request.client) === true);
  }
  return conditions.length === 0 ? null : conditions;
}

function headerCondition(condition: ValueCondition): Condition {
  const { name } = condition;
  const accepts = valueCheck(condition);
  return (request) => accepts(listOf(request.fields, name));
}

function valueCheck(condition: ValueCondition): (value: string | undefined) => boolean {
  switch (condition.kind) {
    case "present":
      return (value) => value !== undefined;
    case "absent":
      return (value) => value === undefined;
    case "equals":
      return (value) => value === condition.value;
    case "regex": {
      const matches = compileRegex(condition.pattern);
      return (value) => value !== undefined && matches(value);
    }
  }
}

function queryCondition(condition: ValueCondition): Condition {
  const { name } = condition;
  if (condition.kind === "absent") return (request) => !someValue(request.query, name, () => true);
  const accepts = valueCheck(condition);
  return (request) => someValue(request.query, name, accepts);
}

/**
 * Whether one of the values of a parameter passes. Names and values are compared as a backend will read them, so that
 * another spelling of the same query is not routed elsewhere.
 */
function someValue(query: string, name: string, accepts: (value: string) => boolean): boolean {
  for (let start = 0; start < query.length; ) {
    const ampersand = query.indexOf("&", start);
    const end = ampersand === -1 ? query.length : ampersand;
    const sign = query.indexOf("=", start);
    const nameEnd = sign === -1 || sign > end ? end : sign;
    if (decoded(query.slice(start, nameEnd)) === name && accepts(decoded(query.slice(nameEnd + 1, end)))) {
      return true;
    }
    start = end + 1;
  }
  return false;
}

/** Text that is not valid percent-encoded UTF-8 stays as it is. */
function decoded(text: string): string {
  if (!text.includes("%") && !text.includes("+")) return text;
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}
