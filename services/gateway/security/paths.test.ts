// Paths that mean one thing to the router and another to a backend. Two pools behind two prefixes: nothing sent to one
// prefix may come out as a path of the other, however it is written.
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it } from "vitest";
import { eventually, sendRaw, startGateway } from "../test-support/data-path.ts";
import { answersOf, request } from "../test-support/raw-cases.ts";
import { startRecorder } from "../test-support/recorder.ts";

type Expected =
  /** Reaches no backend. */
  | { refused: readonly number[] }
  /** Reaches the backend of /public with this target. */
  | { public: string }
  /** Reaches the backend of /private with this target. */
  | { private: string };

const BAD: Expected = { refused: [400] };
const NOWHERE: Expected = { refused: [400, 404] };

const PATHS: readonly (readonly [target: string, expected: Expected])[] = [
  ["/public/../private/x", BAD],
  ["/public/..", BAD],
  ["/public/.", BAD],
  ["/public/./x", BAD],
  ["/..", BAD],
  ["/../private/x", BAD],
  ["/public/a/../../private/x", BAD],
  ["/public/%2e%2e/private/x", BAD],
  ["/public/%2E%2E/private/x", BAD],
  ["/public/.%2e/private/x", BAD],
  ["/public/%2e./private/x", BAD],
  ["/public/%2e/x", BAD],
  ["/public/%2e%2e", BAD],
  ["/public/..;/private/x", BAD],
  ["/public/..;a=b/private/x", BAD],
  ["/public/%2e%2e;/private/x", BAD],
  ["/public/..%3b/private/x", BAD],
  ["/public/..%2fprivate/x", BAD],
  ["/public/..%2Fprivate/x", BAD],
  ["/public%2f..%2fprivate/x", BAD],
  ["/public/a%2fb", BAD],
  ["/public/..%5cprivate/x", BAD],
  ["/public/..%5Cprivate/x", BAD],
  ["/public/a%5cb", BAD],
  ["/public\\..\\private\\x", BAD],
  ["/public/..\\private/x", BAD],
  ["\\private\\x", BAD],
  ["/\\private/x", BAD],
  ["/public/x%00", BAD],
  ["/public/x%0d%0aX-Injected:%201", BAD],
  ["/public/x%7f", BAD],
  ["/public/x%00.jpg", BAD],
  ["/public/%", BAD],
  ["/public/%2", BAD],
  ["/public/%zz", BAD],
  ["/public/%u002e%u002e/private/x", BAD],
  ["/public/%%32%65%%32%65/private/x", BAD],
  ["/public/x#/../../private", BAD],
  ["/public/x#", BAD],
  ["#/private/x", BAD],
  ["http://shop.example/public/../private/x", BAD],
  ["http://shop.example/public/%2e%2e/private/x", BAD],
  ["http://shop.example\\..\\private", BAD],
  ["//private/x", NOWHERE],
  ["///private/x", NOWHERE],
  ["//shop.example/private/x", NOWHERE],
  ["//evil.example/private/x", NOWHERE],
  ["/;/private/x", NOWHERE],
  ["/;a=b/private/x", NOWHERE],
  ["/PRIVATE/x", NOWHERE],
  ["/privatex", NOWHERE],
  ["/publicx/y", NOWHERE],
  ["/public;x/y", NOWHERE],
  ["/public%3bx/y", NOWHERE],
  ["/public%3fx/y", NOWHERE],
  ["/public%23x/y", NOWHERE],
  ["/public%20/y", NOWHERE],
  ["/%70rivate/x", { private: "/private/x" }],
  ["/p%72ivat%65/x", { private: "/private/x" }],
  ["/%70ublic/x", { public: "/public/x" }],
  ["/public//private/x", { public: "/public//private/x" }],
  ["/public/%252e%252e/private/x", BAD],
  ["/public/..%252fprivate/x", BAD],
  ["/public/%c0%ae%c0%ae/private/x", { public: "/public/%C0%AE%C0%AE/private/x" }],
  ["/public/...", { public: "/public/..." }],
  ["/public/..x/y", { public: "/public/..x/y" }],
  ["/public/.hidden", { public: "/public/.hidden" }],
  ["/public/x;a=b/y", { public: "/public/x;a=b/y" }],
  ["/public/x?/../private/y", { public: "/public/x?/../private/y" }],
  ["/public/x?a=%2e%2e%2fprivate", { public: "/public/x?a=%2e%2e%2fprivate" }],
  ["/public/x?a=http://evil.example/", { public: "/public/x?a=http://evil.example/" }],
  ["/public/x?", { public: "/public/x?" }],
  ["/public/x??/private", { public: "/public/x??/private" }],
  ["/public/caf%C3%A9", { public: "/public/caf%C3%A9" }],
  ["/public/a%20b", { public: "/public/a%20b" }],
  ["http://shop.example/public/x", { public: "/public/x" }],
];

describe("a path", () => {
  it.each(PATHS)("%j reaches %j", async (target, expected) => {
    const [open, closed] = [await startRecorder(), await startRecorder()];
    const { port } = await startGateway([], configOf(open.origin, closed.origin));
    const client = sendRaw(port, request(`GET ${target}`));
    await eventually(() => answersOf(client).some(({ complete }) => complete), "an answer");
    const [answer] = answersOf(client);
    const reached = [open, closed].map(({ seen }) => seen.map(({ line }) => line.split(" ")[1]));
    expect([...open.faults, ...closed.faults]).toEqual([]);
    if ("public" in expected) expect(reached).toEqual([[expected.public], []]);
    else if ("private" in expected) expect(reached).toEqual([[], [expected.private]]);
    else expect(reached).toEqual([[], []]);
    expect("refused" in expected ? expected.refused : [200]).toContain(answer?.status);
  });

  it.each(["a b", "a\tb", "a\0b", "a\x7fb", "a\rb", "a\nb", "a\x0bb"])(
    "that holds %j raw reaches nobody",
    async (part) => {
      const [open, closed] = [await startRecorder(), await startRecorder()];
      const { port } = await startGateway([], configOf(open.origin, closed.origin));
      const client = sendRaw(port, request(`GET /public/${part}`));
      await eventually(client.closed, "the end of the connection");
      expect(answersOf(client).map(({ status }) => status)).toEqual([400]);
      expect([...open.seen, ...closed.seen]).toEqual([]);
    },
  );
});

function configOf(open: string, closed: string): Partial<ConfigDocument> {
  return {
    routes: [
      { name: "public", match: { path: "/public/*" }, proxy: "dynamic", pool: "public" },
      { name: "private", match: { path: "/private/*" }, proxy: "dynamic", pool: "private" },
    ],
    pools: [
      { name: "public", backends: [{ id: "open", url: open }] },
      { name: "private", backends: [{ id: "closed", url: closed }] },
    ],
  };
}
