import { describe, expect, it } from "vitest";
import { resolveConfig } from "./resolve.ts";
import { validateConfig } from "./validate.ts";

const documentWith = (more: object) => ({
  listeners: [{ name: "web", protocol: "http", port: 80 }],
  routes: [],
  pools: [],
  ...more,
});

describe("workers", () => {
  it("is one process unless the configuration says more", () => {
    const plain = validateConfig(documentWith({}));
    const more = validateConfig(documentWith({ workers: 4 }));
    if (!plain.ok || !more.ok) throw new Error("refused");
    expect(resolveConfig(plain.document).workers).toBe(1);
    expect(resolveConfig(more.document).workers).toBe(4);
  });

  it.each([0, 65, 1.5, "2"])("refuses %j, naming the place", (workers) => {
    const validation = validateConfig(documentWith({ workers }));
    expect(validation.ok).toBe(false);
    if (!validation.ok) expect(validation.problems[0]?.path).toBe("/workers");
  });
});
