import { expect, test } from "vitest";
import { findK6 } from "./find-k6.ts";

const installedAt =
  (...paths: string[]) =>
  (path: string) =>
    paths.includes(path);

test("k6 on PATH goes before the one of go install", () => {
  const env = { PATH: "/bin:/opt/k6", HOME: "/home/u" };
  expect(findK6(env, installedAt("/opt/k6/k6", "/home/u/go/bin/k6"))).toBe("/opt/k6/k6");
});

test("without one on PATH, the folders of go install are searched: GOBIN, GOPATH, the home folder", () => {
  const anywhere = installedAt("/gobin/k6", "/gopath/bin/k6", "/home/u/go/bin/k6");
  expect(findK6({ GOBIN: "/gobin", GOPATH: "/gopath", HOME: "/home/u" }, anywhere)).toBe("/gobin/k6");
  expect(findK6({ GOPATH: "/gopath", HOME: "/home/u" }, anywhere)).toBe("/gopath/bin/k6");
  expect(findK6({ HOME: "/home/u" }, anywhere)).toBe("/home/u/go/bin/k6");
});

test("K6 names the program and nothing else is tried", () => {
  const env = { K6: "/mine/k6", PATH: "/bin" };
  expect(findK6(env, installedAt("/mine/k6", "/bin/k6"))).toBe("/mine/k6");
  expect(findK6(env, installedAt("/bin/k6"))).toBeNull();
});

test("a machine without k6 gives null, not a guess", () => {
  expect(findK6({ PATH: "/bin:/usr/bin", HOME: "/home/u" }, () => false)).toBeNull();
});
