import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, it } from "vitest";
import { SWEEP_MS, Sweep } from "./sweep.ts";

const standStill = (ms: number) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

it("looks only after what arrived while the process stood still was read", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const reader = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [writer] = (await once(server, "connection")) as [Socket];
  const happened: string[] = [];
  reader.on("data", () => happened.push("data"));
  const sweep = new Sweep(() => performance.now());
  const waiting = { onSweep: () => void happened.push("look") };

  sweep.add(waiting);
  // From here the event loop goes on with what timers are due.
  setImmediate(() => {
    writer.write("x");
    standStill(3 * SWEEP_MS);
    happened.length = 0;
  });
  await expect.poll(() => happened.includes("data") && happened.includes("look")).toBe(true);
  expect(happened[0]).toBe("data");

  sweep.delete(waiting);
  reader.destroy();
  server.close();
});
