import { describe, expect, it } from "vitest";
import { parseConfig } from "./parse.ts";

const SOUND = `listeners: [{ name: web, protocol: http, port: 8080 }]
routes: []
pools:
  - { name: shop, backends: [{ id: s-1, url: "http://10.0.0.1:80" }] }
  - { name: billing, backends: [{ id: b-1, url: "http://10.0.0.2:80" }] }
notifications:
  - name: pager
    url: https://pager.example.com/hooks/evenkeel?team=a
    secretFile: /run/secrets/pager
    events: [health, panic]
    pools: [shop, billing]
    timeoutMs: 2000
    attempts: 5
  - { name: chat, url: "http://10.0.0.9:8080/" }
`;

/** [what is wrong, text to replace, replacement, path, part of the message] */
// biome-ignore format: a table, one row per fault
const BROKEN: [string, string, string, string, string][] = [
  ["two of one name", "name: chat", "name: pager", "/notifications/1/name", 'name "pager" is already taken by /notifications/0/name'],
  ["no URL", "https://pager.example.com/hooks/evenkeel?team=a", "pager.example.com", "/notifications/0/url", "must be a URL such as"],
  ["a URL of another kind", "http://10.0.0.9:8080/", "ftp://10.0.0.9/", "/notifications/1/url", "must be a URL such as"],
  ["a URL with credentials", "http://10.0.0.9:8080/", "http://me:secret@10.0.0.9/", "/notifications/1/url", "must not hold credentials"],
  ["a URL with a fragment", "http://10.0.0.9:8080/", "http://10.0.0.9/#here", "/notifications/1/url", "must not hold a fragment"],
  ["a pool that there is not", "[shop, billing]", "[shop, biling]", "/notifications/0/pools/1", 'there is no pool "biling"; did you mean "billing"?'],
  ["a pool twice", "[shop, billing]", "[shop, shop]", "/notifications/0/pools/1", 'pool "shop" is already taken'],
  ["an event twice", "[health, panic]", "[health, health]", "/notifications/0/events/1", 'event "health" is already taken'],
  ["an event that there is not", "[health, panic]", "[health, weather]", "/notifications/0/events/1", 'got "weather"'],
  ["no events", "[health, panic]", "[]", "/notifications/0/events", "at least 1 entry"],
  ["too many attempts", "attempts: 5", "attempts: 21", "/notifications/0/attempts", "20"],
];

const judge = (text: string) => parseConfig(text, "evenkeel.yaml");

describe("notifications", () => {
  it("may go to any webhook, also of a private network", () => {
    expect(judge(SOUND)).toMatchObject({ ok: true });
  });

  it.each(BROKEN)("are refused with %s", (_, text, replacement, path, message) => {
    const broken = SOUND.replace(text, replacement);
    expect(broken).not.toBe(SOUND);
    const judged = judge(broken);
    const problems = judged.ok ? [] : judged.problems;
    expect(problems.map((problem) => problem.path)).toEqual([path]);
    expect(problems[0]?.message).toContain(message);
    expect(problems[0]?.message).not.toContain("secret@");
  });
});
