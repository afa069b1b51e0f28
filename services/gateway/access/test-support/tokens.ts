// Tokens, the keys they are signed with, and a server that hands the public ones out.
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SignJWT } from "jose";
import { onTestFinished } from "vitest";
import { compile, createTestServices, START_MS } from "./asking.ts";
import { startServer } from "./servers.ts";

export const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
export const otherRsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
export const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
export const SECRET = "0123456789abcdef0123456789abcdef";

export interface Claims {
  [name: string]: unknown;
}

export const seconds = (ms: number) => Math.floor(ms / 1_000);
export const CLAIMS = {
  iss: "https://id.example.com/",
  aud: "api",
  sub: "alice",
  exp: seconds(START_MS) + 3_600,
};

export const sign = (
  key: KeyObject | Uint8Array,
  header: { alg: string; kid?: string },
  claims: Claims = {},
) => new SignJWT({ ...CLAIMS, ...claims }).setProtectedHeader(header).sign(key);

export const jwkOf = ({ publicKey }: { publicKey: KeyObject }, more: object) => ({
  ...publicKey.export({ format: "jwk" }),
  ...more,
});

/** A server of keys that counts how often it is asked. */
export async function startKeys(first: object[]) {
  const state = { keys: first, asked: 0, status: 200, body: null as string | null };
  const server = await startServer((_, response) => {
    state.asked += 1;
    response.writeHead(state.status).end(state.body ?? JSON.stringify({ keys: state.keys }));
  });
  return Object.assign(state, { url: `${server.url}/jwks.json`, stop: server.stop });
}

export async function setUp(jwt: object = {}) {
  const keys = await startKeys([jwkOf(rsa, { kid: "r1", alg: "RS256" }), jwkOf(ec, { kid: "e1" })]);
  const services = createTestServices();
  const part = { jwks: keys.url, issuer: CLAIMS.iss, audiences: ["api", "web"], ...jwt };
  return { keys, services, access: compile({ access: { jwt: part } }, services) };
}

export const bearing = (token: string, header = "Authorization", scheme = "Bearer ") => ({
  headers: [[header, `${scheme}${token}`]] as [string, string][],
});

export function writeKey(text: string | Buffer): string {
  const directory = mkdtempSync(join(tmpdir(), "evenkeel-key-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, "key");
  writeFileSync(path, text);
  return path;
}

export const part = (json: object) => Buffer.from(JSON.stringify(json)).toString("base64url");
export const pem = ({ publicKey }: { publicKey: KeyObject }) =>
  publicKey.export({ format: "pem", type: "spki" }) as string;
