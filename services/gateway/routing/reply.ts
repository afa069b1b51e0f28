// Answers that a route gives by itself: redirects, and fixed texts.
import type { AnsweredRoute } from "@evenkeel/core/config/resolve.ts";
import type { Redirect, Respond } from "@evenkeel/core/config/resolve-routing.ts";
import { addField, type Fields } from "../messages/fields.ts";
import { compileHeaderRules } from "./header-rules.ts";
import type { Target } from "./target.ts";

export interface Reply {
  status: number;
  /** Without framing. */
  fields: Fields;
  /** Not sent to a HEAD. */
  body: Buffer;
}

export interface RepliedRequest {
  target: Target;
  /** The request came over TLS. */
  secure: boolean;
}

/** What it returns may be shared between requests and must not be changed. */
export type MakeReply = (request: RepliedRequest) => Reply;

const NOTHING = Buffer.alloc(0);

export function compileReply({ reply, responseHeaders }: AnsweredRoute): MakeReply {
  const change = compileHeaderRules(responseHeaders);
  const make = reply.kind === "redirect" ? redirect(reply) : fixed(reply);
  if (change === null) return make;
  return (request) => {
    const made = make(request);
    return { ...made, fields: change(made.fields) };
  };
}

function fixed({ status, body, contentType }: Respond): MakeReply {
  const fields: Fields = [];
  if (body !== "") addField(fields, "content-type", contentType);
  const made: Reply = { status, fields, body: Buffer.from(body) };
  return () => made;
}

/**
 * The Location always has scheme and host: a path that begins with // or /\ would be read as a host by itself. Both are the
 * configuration's, else the request's own, which `readTarget` has found to be a plain host; so nobody is led elsewhere
 * but by the Host header they have sent.
 */
function redirect({ status, scheme, host, port, path }: Redirect): MakeReply {
  return ({ target, secure }) => {
    const own = secure ? "https" : "http";
    const authority = `${host ?? nameOf(target.authority)}${portOf(target.authority)}`;
    const rest = path === null ? target.forwarded : path + target.forwarded.slice(target.path.length);
    const fields: Fields = [];
    addField(fields, "location", `${scheme ?? own}://${authority}${rest}`);
    return { status, fields, body: NOTHING };
  };

  /** A port of the request's means nothing with another scheme or on another host. */
  function portOf(authority: string): string {
    if (port !== null) return `:${port}`;
    return scheme === null && host === null ? authority.slice(nameOf(authority).length) : "";
  }
}

/** Without the port; IPv6 addresses keep their brackets. */
const nameOf = (authority: string): string => authority.replace(/:\d*$/, "");
