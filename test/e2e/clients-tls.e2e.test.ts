// openssl s_client and curl as clients of TLS: versions, certificates by name and by file, protocols, mutual TLS.
import { X509Certificate } from "node:crypto";
import { copyFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished } from "vitest";
import { waitFor } from "../support/cluster.ts";
import { certificateFile, type Front, openFront } from "../support/front.ts";
import { itUnless, itWith, noCurl, says } from "../support/have.ts";
import { type Origin, openOrigin } from "../support/origins.ts";
import { run, talkTo } from "../support/run.ts";

/** The gateway looks at the files every 10 s. */
const RELOAD_TIMEOUT_MS = 20_000;

const CA = certificateFile("ca.pem");
const noTls11: string | false =
  !says("openssl", ["ciphers", "-s", "-tls1_1", "ALL@SECLEVEL=0"], /AES/) && "no openssl that speaks TLS 1.1";

let front: Front;
let origin: Origin;
/** Holds the certificate that is replaced. */
let directory: string;

const useCertificate = async (name: string) => {
  await copyFile(certificateFile(`${name}.pem`), join(directory, "cert.pem"));
  await copyFile(certificateFile(`${name}.key`), join(directory, "cert.key"));
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "evenkeel-tls-"));
  await useCertificate("a");
  origin = await openOrigin(createServer(({ headers }, response) => response.end(JSON.stringify(headers))));
  const [a, b] = ["a", "b"].map((name) => ({
    cert: certificateFile(`${name}.pem`),
    key: certificateFile(`${name}.key`),
  })) as [{ cert: string; key: string }, { cert: string; key: string }];
  const replaced = { cert: join(directory, "cert.pem"), key: join(directory, "cert.key") };
  const alice = {
    clientCertificate: { names: ["URI:spiffe://example/alice"] },
    consumerHeader: "x-consumer",
  };
  front = await openFront(
    {
      listeners: [
        { name: "several", protocol: "http", port: 0, tls: { certificates: [a, b] } },
        { name: "strict", protocol: "http", port: 0, tls: { certificates: [a], minVersion: "1.3" } },
        { name: "plain", protocol: "http", port: 0, tls: { certificates: [a] }, http2: false },
        { name: "replaced", protocol: "http", port: 0, tls: { certificates: [replaced] } },
        {
          ...{ name: "asking", protocol: "http", port: 0 },
          tls: { certificates: [a], clientCa: CA, clientAuth: "request" },
        },
        { name: "mutual", protocol: "http", port: 0, tls: { certificates: [a], clientCa: CA } },
      ],
      routes: [
        { name: "alice", match: { path: "/alice" }, proxy: "dynamic", pool: "http", access: alice },
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

/** A handshake, and then the end. */
const shake = async (listener: string, ...args: string[]) => {
  const address = ["-connect", `127.0.0.1:${front.port(listener)}`];
  const { code, text, stderr } = await run("openssl", ["s_client", ...address, ...args]);
  return { code, said: `${text}${stderr}` };
};

describe("openssl s_client", () => {
  const withOpenssl = itWith("openssl");

  for (const [flag, name] of [
    ["-tls1_2", "TLSv1.2"],
    ["-tls1_3", "TLSv1.3"],
  ] as const) {
    withOpenssl(`agrees on ${name}, and believes the certificate`, async () => {
      const checks = ["-CAfile", CA, "-verify_return_error", "-verify_hostname", "a.example"];
      const { code, said } = await shake("several", flag, ...checks);
      expect(said).toContain("Verify return code: 0 (ok)");
      expect(said).toMatch(new RegExp(`New, ${name}`));
      expect(code).toBe(0);
    });
  }

  itUnless(noTls11)("is refused TLS 1.1", async () => {
    const { code, said } = await shake("several", "-tls1_1", "-cipher", "ALL@SECLEVEL=0");
    expect(code).toBe(1);
    expect(said).toContain("alert protocol version");
  });

  withOpenssl("is refused TLS 1.2 where 1.3 is the least", async () => {
    const { said } = await shake("strict", "-tls1_2");
    expect(said).toContain("alert protocol version");
    expect((await shake("strict", "-tls1_3")).code).toBe(0);
  });

  withOpenssl("gets the certificate of the name it asks for", async () => {
    for (const [asked, subject] of [
      ["a.example", "a.example"],
      ["b.example", "b.example"],
      ["B.Example", "b.example"],
      ["shop.b.example", "b.example"],
      ["deep.shop.b.example", "a.example"],
      ["unknown.example", "a.example"],
    ] as const) {
      const { said } = await shake("several", "-servername", asked);
      expect(said, asked).toMatch(new RegExp(`subject=CN ?= ?${subject}\n`));
    }
    expect((await shake("several", "-noservername")).said).toMatch(/subject=CN ?= ?a.example\n/);
  });

  withOpenssl("agrees on a protocol by ALPN", async () => {
    for (const [offered, agreed, listener = "several"] of [
      ["h2,http/1.1", "ALPN protocol: h2"],
      ["http/1.1,h2", "ALPN protocol: h2"],
      ["http/1.1", "ALPN protocol: http/1.1"],
      ["h2,http/1.1", "ALPN protocol: http/1.1", "plain"],
      ["spdy/1", "alert no application protocol"],
    ] as const) {
      expect((await shake(listener, "-alpn", offered)).said, offered).toContain(agreed);
    }
    expect((await shake("several")).said).toContain("No ALPN negotiated");
  });

  withOpenssl("may not renegotiate", async () => {
    const talk = openHttp("several", "-tls1_2");
    onTestFinished(talk.end);
    await talk.until("---\n");
    talk.say("R\n");
    await waitFor(() => !talk.running(), { timeoutMs: 10_000, what: "the end of the connection" });
    expect(talk.said()).toContain("RENEGOTIATING");
  });

  withOpenssl(
    "keeps its connection when the certificate is replaced, and gets the new one with the next",
    async () => {
      const serialOf = async (name: string) =>
        new X509Certificate(await readFile(certificateFile(`${name}.pem`))).serialNumber;
      const presented = async () => {
        const [, pem = ""] =
          /(-----BEGIN[\s\S]*?-----END CERTIFICATE-----)/.exec((await shake("replaced")).said) ?? [];
        return new X509Certificate(pem).serialNumber;
      };
      const ask = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a.example\r\nX-Path: ${path}\r\n\r\n`;
      const talk = openHttp("replaced", "-quiet");
      onTestFinished(talk.end);
      talk.say(ask("/before"));
      await talk.until('"x-path":"/before"');
      expect(await presented()).toBe(await serialOf("a"));
      await useCertificate("a-renewed");
      const renewed = await serialOf("a-renewed");
      await waitFor(async () => (await presented()) === renewed, {
        timeoutMs: RELOAD_TIMEOUT_MS,
        what: "the new certificate",
      });
      talk.say(ask("/after"));
      await talk.until('"x-path":"/after"');
    },
  );

  const openHttp = (listener: string, ...args: string[]) =>
    talkTo("openssl", ["s_client", "-connect", `127.0.0.1:${front.port(listener)}`, ...args]);
});

describe("curl with a client certificate", () => {
  const withCurl = itUnless(noCurl);
  const pair = (name: string) => [
    ...["--cert", certificateFile(`${name}.pem`)],
    ...["--key", certificateFile(`${name}.key`)],
  ];
  const curl = async (listener: string, path: string, ...args: string[]) => {
    const url = `https://127.0.0.1:${front.port(listener)}${path}`;
    const { code, text } = await run("curl", ["-sS", "--cacert", CA, "-w", "\n%{http_code}", ...args, url]);
    const end = text.lastIndexOf("\n");
    return { code, status: text.slice(end + 1), body: text.slice(0, end) };
  };

  for (const version of ["--http1.1", "--http2"]) {
    withCurl(`is let in by the route that wants it, ${version}`, async () => {
      const { status, body } = await curl("asking", "/alice", version, ...pair("client"));
      expect(status).toBe("200");
      expect(JSON.parse(body)["x-consumer"]).toMatch(/CN=alice/);
    });

    withCurl(`is refused by that route without one, and served by others, ${version}`, async () => {
      expect((await curl("asking", "/alice", version)).status).toMatch(/^40[13]$/);
      const { status, body } = await curl("asking", "/", version, "-H", "x-consumer: CN=alice");
      expect(status).toBe("200");
      expect(body).toContain("host");
    });

    withCurl(`is refused in the handshake with one of another authority, ${version}`, async () => {
      for (const listener of ["asking", "mutual"]) {
        const { code, status } = await curl(listener, "/", version, ...pair("stranger"));
        expect([code === 0, status]).toEqual([false, "000"]);
      }
    });

    withCurl(`needs one where the listener does, ${version}`, async () => {
      expect(await curl("mutual", "/", version)).toMatchObject({ status: "000" });
      expect(await curl("mutual", "/", version, ...pair("client"))).toMatchObject({ code: 0, status: "200" });
    });
  }
});
