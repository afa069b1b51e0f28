// curl and h2load as clients of HTTP/1.1 and HTTP/2, with TLS and without: what they ask for is what they get.
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, inject } from "vitest";
import { certificateFile, type Front, openFront } from "../support/front.ts";
import { itUnless, itWith, noCurl } from "../support/have.ts";
import { type Origin, openOrigin } from "../support/origins.ts";
import { type Ran, run, talkTo } from "../support/run.ts";

const BIG_BYTES = 20 * 1024 * 1024;
const SMALL_LIMIT_BYTES = 1_000;
const H2LOAD_REQUESTS = 2_000;

const BIG = randomBytes(BIG_BYTES);
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const TEXT = "All work and no play makes Jack a dull boy.\n".repeat(1_000);
const PACKED = gzipSync(TEXT);

/** Whole paths; each one kind of answer. */
const ANSWERS: Record<string, (request: IncomingMessage, response: ServerResponse) => void> = {
  async "/upload"(request, response) {
    const hash = createHash("sha256");
    for await (const chunk of request) hash.update(chunk as Buffer);
    const { "content-length": length = null, "transfer-encoding": coding = null } = request.headers;
    response.end(JSON.stringify({ sha256: hash.digest("hex"), length, coding }));
  },
  "/big": (_, response) => void response.setHeader("content-length", BIG_BYTES).end(BIG),
  "/big-chunked": (_, response) => void response.end(BIG),
  "/seen": ({ method, url, headers }, response) =>
    void response.end(JSON.stringify({ method, url, headers })),
  "/packed": (_, response) => void response.setHeader("content-encoding", "gzip").end(PACKED),
  "/range": ({ headers }, response) => {
    const [, from = 0, to = 0] = (/^bytes=(\d+)-(\d+)$/.exec(headers.range ?? "") ?? []).map(Number);
    const part = BIG.subarray(from, to + 1);
    response.writeHead(206, { "content-range": `bytes ${from}-${to}/${BIG_BYTES}` }).end(part);
  },
  "/trailers": (_, response) => {
    response.writeHead(200, { trailer: "x-checksum" });
    response.write("body\n");
    response.addTrailers({ "x-checksum": "c0ffee" });
    response.end();
  },
  "/hints": (_, response) =>
    response.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" }, () => response.end("page")),
  "/cut": (_, response) => {
    response.writeHead(200, { "content-length": 1_000_000 });
    response.write("only the beginning", () => response.destroy());
  },
  "/silent": (_, response) => void response.write("the beginning\n"),
  "/cut-chunked": (_, response) => void response.write("only the beginning", () => response.destroy()),
};

/** How curl is told to speak, and the listener that it speaks to. */
const WAYS = [
  { name: "HTTP/1.1", listener: "web", args: ["--http1.1"], version: "1.1" },
  { name: "HTTP/1.1 in TLS", listener: "secure", args: ["--http1.1"], version: "1.1" },
  { name: "HTTP/2 with prior knowledge", listener: "web", args: ["--http2-prior-knowledge"], version: "2" },
  { name: "HTTP/2 in TLS", listener: "secure", args: ["--http2"], version: "2" },
] as const;

let front: Front;
let origin: Origin;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "evenkeel-curl-"));
  await writeFile(join(directory, "big"), BIG);
  origin = await openOrigin(
    createServer((request, response) => {
      const answer = ANSWERS[new URL(request.url ?? "/", "http://localhost").pathname];
      if (answer) answer(request, response);
      else response.writeHead(404).end();
    }),
  );
  const certificates = [{ cert: certificateFile("a.pem"), key: certificateFile("a.key") }];
  front = await openFront(
    {
      listeners: [
        { name: "web", protocol: "http", port: 0 },
        { name: "secure", protocol: "http", port: 0, tls: { certificates } },
      ],
      routes: [
        {
          ...{ name: "small", match: { path: "/small/*" }, rewrite: { stripPrefix: true } },
          ...{ proxy: "dynamic", pool: "http", maxBodyBytes: SMALL_LIMIT_BYTES },
        },
        { name: "all", match: {}, proxy: "dynamic", pool: "http" },
      ],
      pools: [{ name: "http", backends: [{ id: "b1", url: `http://127.0.0.1:${origin.port}` }] }],
    },
    inject("redisUrl"),
  );
});

afterAll(async () => {
  await front?.end();
  await origin?.kill();
  if (directory) await rm(directory, { recursive: true });
});

const urlOf = (listener: string, path = "/seen") =>
  `${listener === "secure" ? "https" : "http"}://127.0.0.1:${front.port(listener)}${path}`;

describe.each(WAYS)("curl over $name", ({ name, listener, args, version }) => {
  const withCurl = itUnless(noCurl);
  const url = (path: string) => urlOf(listener, path);
  const curl = (...more: string[]): Promise<Ran> =>
    run("curl", ["-sS", "--cacert", certificateFile("ca.pem"), ...args, ...more]);
  /** `%{…}` of curl's own account, after what it would print otherwise. */
  const stating = (format: string) => ["-o", join(directory, "out"), "-w", format];

  withCurl("speaks the version it wants", async () => {
    const { code, text } = await curl(...stating("%{http_version} %{http_code}"), url("/seen"));
    expect([code, text]).toEqual([0, `${version} 200`]);
  });

  withCurl("uploads 20 MiB and they arrive as they were", async () => {
    const { code, text, stderr } = await curl("-T", join(directory, "big"), url("/upload"));
    expect([code, stderr]).toEqual([0, ""]);
    expect(JSON.parse(text)).toEqual({ sha256: sha256(BIG), length: String(BIG_BYTES), coding: null });
  });

  withCurl("uploads what it does not know the length of", async () => {
    const input = BIG.subarray(0, 3_000_000);
    const { text } = await run(
      "curl",
      ["-sS", "--cacert", certificateFile("ca.pem"), ...args, "-T", "-", url("/upload")],
      { input },
    );
    expect(JSON.parse(text)).toEqual({ sha256: sha256(input), length: null, coding: "chunked" });
  });

  withCurl("downloads 20 MiB and they arrive as they were, with a length and without", async () => {
    for (const path of ["/big", "/big-chunked"]) {
      const { code, stdout } = await curl(url(path));
      expect([code, sha256(stdout)]).toEqual([0, sha256(BIG)]);
    }
  });

  withCurl("gets the head of an answer alone", async () => {
    const { code, text } = await curl("--head", url("/big"));
    expect(code).toBe(0);
    expect(text).toMatch(new RegExp(`^HTTP/${version} 200[^]*\\r\ncontent-length: ${BIG_BYTES}\r\n`, "i"));
    expect(text.indexOf("\r\n\r\n")).toBe(text.length - 4);
  });

  withCurl("gets a range", async () => {
    const { code, stdout } = await curl("--range", "1000-1999", url("/range"));
    expect([code, stdout.equals(BIG.subarray(1_000, 2_000))]).toEqual([0, true]);
  });

  withCurl("gets trailers", async () => {
    const { code, text } = await curl("--include", "-H", "TE: trailers", url("/trailers"));
    expect(code).toBe(0);
    expect(text).toMatch(/\r\n\r\nbody\n.*x-checksum: c0ffee\r\n/is);
  });

  withCurl("gets early hints before the answer", async () => {
    const { code, text } = await curl("--include", url("/hints"));
    expect(code).toBe(0);
    expect(text).toMatch(
      new RegExp(
        `^HTTP/${version} 103.*\r\nlink: </style.css>.*\r\n\r\nHTTP/${version} 200.*\r\n\r\npage$`,
        "is",
      ),
    );
  });

  withCurl("gets compressed content untouched", async () => {
    const plain = await curl("-H", "accept-encoding: gzip", url("/packed"));
    expect(plain.stdout.equals(PACKED)).toBe(true);
    expect(gunzipSync(plain.stdout).toString()).toBe(TEXT);
    const unpacked = await curl("--compressed", url("/packed"));
    expect([unpacked.code, unpacked.text]).toEqual([0, TEXT]);
  });

  withCurl("keeps its connection for the next request", async () => {
    const { text } = await curl(...stating("%{num_connects}\\n"), url("/seen?[1-5]"));
    expect(text).toBe("1\n0\n0\n0\n0\n");
  });

  // curl 7.88 fails at this with any server (16: its own framing).
  const parallel = itUnless(noCurl || (name.includes("prior") && "curl itself cannot"));
  parallel("sends up to fifty at once", async () => {
    const each = ["--parallel", "--parallel-max", "50", "-w", "%{http_code} "];
    const { code, text } = await curl(...each, "-o", join(directory, "#1"), url("/seen?[1-200]"));
    expect([code, text]).toEqual([0, "200 ".repeat(200)]);
  });

  withCurl("is told that an answer was cut off", async () => {
    for (const path of ["/cut", "/cut-chunked"]) {
      const { code, text } = await curl(url(path));
      expect([18, 56, 92], `${path}: ${text}`).toContain(code); // partial file, reset, stream not closed cleanly
    }
  });

  withCurl("is missed when it is killed in the middle of an answer", async () => {
    const flags = ["-sSN", "--cacert", certificateFile("ca.pem"), ...args];
    const talk = talkTo("curl", [...flags, url("/silent")]);
    await talk.until("the beginning");
    await front.counts("http", { b1: 1 });
    await talk.end();
    await front.counts("http", { b1: 0 });
  });

  withCurl("is refused a body over the limit of the route", async () => {
    const refused = await curl(
      ...stating("%{http_code}"),
      "-T",
      join(directory, "big"),
      url("/small/upload"),
    );
    // With HTTP/2, some versions of curl forget an answer that comes together with the request to stop sending.
    expect(version === "2" ? ["413", "000"] : ["413"]).toContain(refused.text);
    const accepted = await curl("-d", "small", url("/small/upload"));
    expect(JSON.parse(accepted.text).sha256).toBe(sha256(Buffer.from("small")));
  });
});

describe("curl that expects 100 Continue", () => {
  const withCurl = itUnless(noCurl);
  const curl = (path: string) =>
    run(
      "curl",
      ["-v", "--http1.1", "-H", "Expect: 100-continue", "--expect100-timeout", "20"].concat([
        "-T",
        join(directory, "big"),
        urlOf("web", path),
      ]),
    );

  withCurl("is told to continue and then sends its body", async () => {
    const { code, text, stderr } = await curl("/upload");
    expect(code).toBe(0);
    expect(stderr).toMatch(/> Expect: 100-continue.*< HTTP\/1.1 100 Continue.*< HTTP\/1.1 200/is);
    expect(JSON.parse(text).sha256).toBe(sha256(BIG));
  });

  withCurl("is refused before it has sent its body", async () => {
    const { stderr } = await curl("/small/upload");
    expect(stderr).toContain("< HTTP/1.1 413");
    expect(stderr).not.toContain("100 Continue");
  });
});

describe("h2load", () => {
  const requests = ["-n", String(H2LOAD_REQUESTS), "-c", "10"];
  for (const [name, args, listener] of [
    ["HTTP/1.1", ["--h1"], "web"],
    ["HTTP/1.1 in TLS", ["--h1"], "secure"],
    ["HTTP/2 with prior knowledge", ["-m", "10"], "web"],
    ["HTTP/2 in TLS", ["-m", "10"], "secure"],
  ] as const) {
    itWith("h2load")(`has all its requests answered over ${name}`, async () => {
      const { text } = await run("h2load", [...requests, ...args, urlOf(listener, "/packed")]);
      expect(text).toContain(
        `requests: ${H2LOAD_REQUESTS} total, ${H2LOAD_REQUESTS} started, ${H2LOAD_REQUESTS} done, ` +
          `${H2LOAD_REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout`,
      );
      await front.counts("http", { b1: 0 });
    });
  }
});
