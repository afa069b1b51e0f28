import { describe, expect, it } from "vitest";
import {
  eventually,
  onRequestHead,
  type RawClient,
  sendRaw,
  startGateway,
  startRawBackend,
} from "../test-support/data-path.ts";
import { startRecorder } from "../test-support/recorder.ts";

const GET = "GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

const answering = (answer: string) =>
  startRawBackend((socket) => onRequestHead(socket, () => socket.write(answer)));

/** Of all header sections that the client has got, the statuses. */
const statuses = ({ received }: RawClient): string[] =>
  [...received().matchAll(/^HTTP\/1\.1 (\d+) /gm)].map(([, status]) => status as string);

describe("trailers", () => {
  it("of an answer reach the client, without those that frame, route or describe", async () => {
    const origin = await answering(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\n" +
        "X-Sum: 12\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=b\r\nConnection: close\r\nX_Forwarded_For: 1\r\n\r\n",
    );
    const { port } = await startGateway([origin]);
    const client = sendRaw(port, GET);
    await eventually(() => /\r\n0\r\n(.*\r\n)?\r\n$/s.test(client.received()), "the end of the answer");
    expect(client.received().split("\r\n0\r\n")[1]).toBe("X-Sum: 12\r\n\r\n");
  });

  it("of a request reach the backend, without those that frame, route, or speak of earlier hops", async () => {
    const { origin, seen, faults } = await startRecorder();
    const { port } = await startGateway([origin]);
    const client = sendRaw(
      port,
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\n" +
        "X-Sum: 12\r\nHost: other\r\nContent-Length: 5\r\nX-Forwarded-For: 1.2.3.4\r\nAuthorization: Basic eA==\r\n\r\n",
    );
    await eventually(() => seen[0]?.complete === true, "the request");
    expect(seen[0]).toMatchObject({ body: "ok", trailers: ["x-sum: 12"] });
    expect(faults).toEqual([]);
    await eventually(() => statuses(client).length === 1, "the answer");
  });

  it("that a client of HTTP/1.0 has no place for are left out, and the body is whole", async () => {
    const origin = await answering(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 12\r\n\r\n",
    );
    const { port } = await startGateway([origin]);
    const client = sendRaw(port, "GET / HTTP/1.0\r\nHost: h\r\n\r\n");
    await eventually(client.closed, "the end");
    expect(client.received()).toMatch(/\r\n\r\nok$/);
  });
});

describe("interim answers", () => {
  it("of 103 are passed on as they come, without what ends at this hop", async () => {
    let goOn = () => {};
    const origin = await startRawBackend((socket) =>
      onRequestHead(socket, () => {
        socket.write("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n");
        goOn = () => void socket.write(OK);
      }),
    );
    const { port, scheduling } = await startGateway([origin]);
    const client = sendRaw(port, GET);
    await eventually(() => client.received().endsWith("\r\n\r\n"), "the hints");
    expect(client.received()).toBe("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
    expect(scheduling.held()).toBe(1);
    goOn();
    await eventually(() => client.received().endsWith("ok"), "the answer");
    expect(statuses(client)).toEqual(["103", "200"]);
  });

  it("of 100 that nobody has asked for are dropped", async () => {
    const { port } = await startGateway([
      await answering(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${OK}`),
    ]);
    const client = sendRaw(port, GET);
    await eventually(() => client.received().endsWith("ok"), "the answer");
    expect(statuses(client)).toEqual(["102", "200"]);
  });

  it("are not sent to a client of HTTP/1.0", async () => {
    const { port } = await startGateway([await answering(`HTTP/1.1 103 Early Hints\r\n\r\n${OK}`)]);
    const client = sendRaw(port, "GET / HTTP/1.0\r\nHost: h\r\n\r\n");
    await eventually(client.closed, "the answer");
    expect(statuses(client)).toEqual(["200"]);
  });

  it("are bounded: a backend that sends no other answer has failed", async () => {
    const endless = await answering("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(200));
    const { port, scheduling } = await startGateway([endless], {
      routes: [{ name: "all", match: {}, proxy: "dynamic", pool: "p", retries: 0 }],
    });
    const client = sendRaw(port, GET);
    await eventually(() => statuses(client).includes("502"), "the refusal");
    expect(statuses(client).length).toBeLessThan(20);
    expect(scheduling.released).toMatchObject([{ outcome: "failure" }]);
  });
});

describe("a client that waits for 100", () => {
  const upload = (length: number) =>
    `POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`;

  it("with a body that is streamed is told so when a backend is there, and not before", async () => {
    const { origin, seen } = await startRecorder();
    const { port, scheduling } = await startGateway([origin]);
    const decide = scheduling.hesitate();
    const client = sendRaw(port, upload(100_000));
    await eventually(() => scheduling.waiting() === 1, "the want");
    expect(client.received()).toBe("");
    decide();
    await eventually(() => client.received() === "HTTP/1.1 100 Continue\r\n\r\n", "the word to go on");
    client.socket.write("x".repeat(100_000));
    await eventually(() => statuses(client).length === 2, "the answer");
    expect(statuses(client)).toEqual(["100", "200"]);
    expect(seen).toMatchObject([{ complete: true }]);
    expect(seen[0]?.fields.filter((field) => field.startsWith("expect"))).toEqual([]);
  });

  it("with a small body is told so at once", async () => {
    const { origin } = await startRecorder();
    const { port, scheduling } = await startGateway([origin]);
    const client = sendRaw(port, upload(5));
    await eventually(() => client.received() === "HTTP/1.1 100 Continue\r\n\r\n", "the word to go on");
    expect(scheduling.picked).toEqual([]);
    client.socket.write("hello");
    await eventually(() => statuses(client).length === 2, "the answer");
  });

  it("is refused without it where no backend is there, and its connection ends", async () => {
    const { port } = await startGateway([]);
    const client = sendRaw(port, upload(100_000));
    await eventually(() => statuses(client).length === 1, "the refusal");
    expect(statuses(client)).toEqual(["503"]);
    expect(client.received().toLowerCase()).toContain("\r\nconnection: close\r\n");
    await eventually(client.closed, "the end of the connection");
  });
});
