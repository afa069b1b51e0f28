import { describe, expect, it } from "vitest";
import { parseBackends } from "./backend-list.ts";

const problemsOf = (text: string) => {
  const parsed = parseBackends(text, "shop.yaml");
  return parsed.ok ? [] : parsed.problems.map(({ line, path, message }) => `${line} ${path} ${message}`);
};

describe("a file of backends", () => {
  it("is YAML or JSON, a list of what a pool's backends are", () => {
    const backends = [
      { id: "shop-1", url: "http://10.0.0.1:8080", weight: 2, zone: "eu" },
      { id: "shop-2", url: "http://10.0.0.2:8080" },
    ];
    const yaml = `# ours
- { id: shop-1, url: "http://10.0.0.1:8080", weight: 2, zone: eu }
- id: shop-2
  url: http://10.0.0.2:8080
`;
    expect(parseBackends(yaml, "shop.yaml")).toEqual({ ok: true, backends });
    expect(parseBackends(JSON.stringify(backends), "shop.json")).toEqual({ ok: true, backends });
    expect(parseBackends("[]", "shop.json")).toEqual({ ok: true, backends: [] });
  });

  it.each(["", "\n", "# nothing yet\n", "null", "---\n"])("is not empty by accident: %j", (text) => {
    expect(problemsOf(text)).toEqual(["1  is empty; write [] for no backends"]);
  });

  it("tells each fault with its line, in YAML and JSON", () => {
    expect(
      problemsOf(`- id: shop-1
  url: 10.0.0.1:8080
- id: shop-1
  url: http://10.0.0.2
  wieght: 2
`),
    ).toEqual([
      expect.stringMatching(/^2 \/0\/url must be an origin such as /),
      expect.stringMatching(/^3 \/1\/id id "shop-1" is already taken by \/0\/id/),
      expect.stringMatching(/^5 \/1\/wieght unknown key "wieght"; did you mean "weight"\?/),
    ]);
    expect(problemsOf('[\n{ "id": "a" }\n]')).toEqual(['2 /0/url key "url" is missing']);
    expect(problemsOf("- id: a\n  url: http://a\n  url: http://b\n")).toEqual([
      '3 /0/url key "url" is given twice',
    ]);
  });

  it("is not what was cut off in the middle", () => {
    expect(problemsOf('[{"id":"a","url":"http://a"},{"id":"b"').length).toBeGreaterThan(0);
    expect(problemsOf("- id: a\n  url: http://a\n- id: b\n").length).toBeGreaterThan(0);
  });

  it.each(["backends: []", "shop-1", "{}", "3"])("is a list and nothing else: %s", (text) => {
    expect(problemsOf(text)).toEqual([expect.stringMatching(/^1 {2}must be a list, got /)]);
  });
});
