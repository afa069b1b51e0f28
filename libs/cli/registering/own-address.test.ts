import { once } from "node:events";
import { createServer } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { addressTowards, addressTowardsAny, lacksHost, withHost } from "./own-address.ts";

async function listening(host: string): Promise<string> {
  const server = createServer().listen(0, host);
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

it("is the address that the connection comes from", async () => {
  expect(await addressTowards(await listening("127.0.0.1"))).toBe("127.0.0.1");
});

it("is told by the first that can be reached, else why none can", async () => {
  const url = await listening("127.0.0.1");
  expect(await addressTowardsAny(["http://127.0.0.1:1", url])).toBe("127.0.0.1");
  await expect(addressTowardsAny(["http://127.0.0.1:1"])).rejects.toThrow("http://127.0.0.1:1: ECONNREFUSED");
});

it("goes where a url leaves its host out, and nowhere else", () => {
  expect(withHost("http://:8080", "10.0.0.5")).toBe("http://10.0.0.5:8080");
  expect(withHost("tcp://:5432", "fd00::5")).toBe("tcp://[fd00::5]:5432");
  expect(withHost("http://10.0.0.9:8080", "10.0.0.5")).toBe("http://10.0.0.9:8080");
  expect([lacksHost("http://:8080"), lacksHost("http://x:8080"), lacksHost("http://[::1]:80")]).toEqual([
    true,
    false,
    false,
  ]);
});
