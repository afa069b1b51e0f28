import { errors } from "undici";
import { describe, expect, it } from "vitest";
import { failureOf, outcomeOf } from "./failure.ts";

const system = (code: string) =>
  Object.assign(new Error("something with an inner address 10.1.2.3"), { code });

describe("a failed attempt", () => {
  it.each([
    [system("ECONNREFUSED"), 502, "failure", true],
    [system("ECONNRESET"), 502, "failure", true],
    [system("EPIPE"), 502, "failure", true],
    [system("ENOTFOUND"), 502, "failure", true],
    [system("EHOSTUNREACH"), 502, "failure", true],
    [system("ETIMEDOUT"), 504, "failure", true],
    [new errors.ConnectTimeoutError(), 504, "failure", true],
    [new errors.HeadersTimeoutError(), 504, "failure", true],
    [new errors.SocketError("other side closed"), 502, "failure", true],
    [new errors.HTTPParserError("bad"), 502, "failure", true],
    [new errors.HeadersOverflowError(), 502, "failure", true],
    [new errors.ResponseContentLengthMismatchError(), 502, "failure", true],
    [new errors.InvalidArgumentError("invalid header"), 400, "canceled", false],
    [new errors.RequestContentLengthMismatchError(), 400, "canceled", false],
    [system("EMFILE"), 503, "canceled", false],
    [system("EADDRNOTAVAIL"), 503, "canceled", false],
    [new errors.ClientClosedError(), 502, "canceled", true],
    [new Error("anything else"), 502, "failure", true],
  ])("%o becomes %i, %s, worth another backend: %s", (error, status, outcome, elsewhere) => {
    expect(failureOf(error)).toMatchObject({ status, outcome, elsewhere });
    expect(failureOf(error).text).not.toContain(error.message);
  });
});

describe("a complete answer", () => {
  it.each([
    [200, "success"],
    [404, "success"],
    [499, "success"],
    [500, "success"],
    [501, "success"],
    [502, "failure"],
    [503, "failure"],
    [504, "failure"],
    [507, "success"],
  ])("of status %i is a %s", (status, outcome) => {
    expect(outcomeOf(status)).toBe(outcome);
  });
});
