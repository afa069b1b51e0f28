import type { ConfigDocument, ListenerDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it } from "vitest";
import { withoutDropped } from "./dropped.ts";

const listener = (more: Partial<ListenerDocument>): ListenerDocument => ({
  name: "web",
  protocol: "http",
  port: 80,
  ...more,
});
const documentOf = (...listeners: ListenerDocument[]): ConfigDocument => ({
  listeners,
  routes: [],
  pools: [],
});

describe("the listeners that workers let go of", () => {
  it("are those that the next configuration opens with another address or protocol, or not at all", () => {
    const stays = listener({ name: "stays", port: 81 });
    const present = documentOf(listener({}), stays, listener({ name: "raw", protocol: "tcp", port: 82 }));
    const next = documentOf(
      listener({ address: "127.0.0.1" }),
      listener({ name: "stays under another name", port: 81, address: "0.0.0.0" }),
      listener({ name: "raw", protocol: "tls", port: 82 }),
    );
    expect(withoutDropped(present, next)).toEqual({ ...present, listeners: [stays] });
  });

  it("are none when all stay, or come", () => {
    const present = documentOf(listener({}));
    expect(withoutDropped(present, documentOf(listener({ name: "n" }), listener({ port: 81 })))).toBe(null);
  });

  it("are told apart by name where the system chooses the port", () => {
    const present = documentOf(listener({ port: 0 }));
    expect(withoutDropped(present, documentOf(listener({ port: 0, name: "n" })))?.listeners).toEqual([]);
  });
});
