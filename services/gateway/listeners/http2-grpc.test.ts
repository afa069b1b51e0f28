// gRPC through the whole gateway, with a client and a server that many use.
import {
  Client,
  credentials,
  type handleBidiStreamingCall,
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { expect, it, onTestFinished } from "vitest";
import { documentFor, startGateway } from "../test-support/data-path.ts";

const toBytes = (text: string) => Buffer.from(text);
const toText = (bytes: Buffer) => bytes.toString();
const method = (path: string, streams: boolean) => ({
  ...{ path, requestStream: streams, responseStream: streams },
  ...{ requestSerialize: toBytes, requestDeserialize: toText },
  ...{ responseSerialize: toBytes, responseDeserialize: toText },
});
const SERVICE = {
  greet: method("/test.Test/greet", false),
  fail: method("/test.Test/fail", false),
  echo: method("/test.Test/echo", true),
};
const greet: handleUnaryCall<string, string> = ({ request }, done) => done(null, `hello ${request}`);
const fail: handleUnaryCall<string, string> = (_, done) => done({ code: status.NOT_FOUND, details: "none" });
const echo: handleBidiStreamingCall<string, string> = (call) => {
  call.on("data", (text: string) => call.write(text.toUpperCase()));
  call.on("end", () => call.end());
};

async function start(): Promise<Client> {
  const server = new Server();
  server.addService(SERVICE, { greet, fail, echo });
  const port = await new Promise<number>((resolve, reject) => {
    const insecure = ServerCredentials.createInsecure();
    server.bindAsync("127.0.0.1:0", insecure, (error, port) => (error ? reject(error) : resolve(port)));
  });
  const { pools } = documentFor([`http://127.0.0.1:${port}`]);
  const gateway = await startGateway([], { pools: pools.map((pool) => ({ ...pool, http: "2" as const })) });
  const client = new Client(`127.0.0.1:${gateway.port}`, credentials.createInsecure());
  onTestFinished(() => {
    client.close();
    server.forceShutdown();
  });
  return client;
}

const call = (client: Client, path: string, text: string) =>
  new Promise<string | ServiceError>((resolve) => {
    client.makeUnaryRequest(path, toBytes, toText, text, (error, value) => resolve(error ?? value ?? ""));
  });

it("answers calls, with their status in the trailers", async () => {
  const client = await start();
  expect(await call(client, SERVICE.greet.path, "you")).toBe("hello you");
  expect(await call(client, SERVICE.fail.path, "you")).toMatchObject({
    code: status.NOT_FOUND,
    details: "none",
  });
});

it("streams in both directions at once", async () => {
  const stream = (await start()).makeBidiStreamRequest(SERVICE.echo.path, toBytes, toText);
  const received: string[] = [];
  const ended = new Promise((resolve) => stream.on("status", ({ code }) => resolve(code)));
  stream.on("data", (text: string) => {
    received.push(text);
    if (received.length === 1) stream.write("b");
    else stream.end();
  });
  stream.write("a");
  expect(await ended).toBe(status.OK);
  expect(received).toEqual(["A", "B"]);
});
