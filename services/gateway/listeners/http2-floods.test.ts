import { describe, expect, it } from "vitest";
import { answer } from "../test-support/http-listener.ts";
import {
  CANCEL,
  END_HEADERS,
  END_STREAM,
  frame,
  GET,
  headerBlock,
  http2Client,
  POST,
  rawHttp2,
  until,
} from "../test-support/http2.ts";
import { startHttp2 } from "../test-support/http2-server.ts";

/** A table of what a client may do to cost us more than itself. */
describe("a flood", () => {
  const ids = (count: number) => Array.from({ length: count }, (_, i) => 2 * i + 1);
  const floods: [string, () => Buffer[]][] = [
    [
      "of streams that are reset",
      () =>
        ids(2_000).flatMap((id) => [
          frame("HEADERS", END_STREAM | END_HEADERS, id, headerBlock(GET)),
          frame("RST_STREAM", 0, id, Buffer.from([0, 0, 0, CANCEL])),
        ]),
    ],
    [
      "of streams that we are made to reset",
      () =>
        ids(2_000).flatMap((id) => [
          frame("HEADERS", END_STREAM | END_HEADERS, id, headerBlock(GET)),
          frame("WINDOW_UPDATE", 0, id, Buffer.alloc(4)),
        ]),
    ],
    [
      "of streams",
      () => ids(2_000).map((id) => frame("HEADERS", END_STREAM | END_HEADERS, id, headerBlock(GET))),
    ],
    [
      "of requests that are refused",
      () =>
        ids(2_000).map((id) =>
          frame("HEADERS", END_STREAM | END_HEADERS, id, headerBlock([...GET, ["te", "x"]])),
        ),
    ],
    [
      "of CONTINUATION",
      () => [
        frame("HEADERS", END_STREAM, 1, headerBlock(GET)),
        ...Array.from({ length: 2_000 }, () =>
          frame("CONTINUATION", 0, 1, headerBlock([["x-a", "x".repeat(1_000)]])),
        ),
      ],
    ],
    [
      "of empty DATA",
      () => [
        frame("HEADERS", END_HEADERS, 1, headerBlock(POST)),
        ...Array.from({ length: 2_000 }, () => frame("DATA", 0, 1)),
      ],
    ],
    [
      "of SETTINGS",
      () => Array.from({ length: 20_000 }, () => frame("SETTINGS", 0, 0, Buffer.from([0, 3, 0, 0, 0, 9]))),
    ],
    ["of PING", () => Array.from({ length: 20_000 }, () => frame("PING", 0, 0, Buffer.alloc(8)))],
    [
      "of a SETTINGS frame with too many entries",
      () => [
        frame(
          "SETTINGS",
          0,
          0,
          Buffer.concat(Array.from({ length: 1_000 }, () => Buffer.from([0, 3, 0, 0, 0, 9]))),
        ),
      ],
    ],
    ["of a frame larger than allowed", () => [frame("DATA", 0, 1, Buffer.alloc(100_000))]],
    [
      "of a stream window that overflows",
      () => [frame("WINDOW_UPDATE", 0, 0, Buffer.from([127, 255, 255, 255]))],
    ],
    ["of what is no HTTP/2", () => [Buffer.alloc(64, "x")]],
  ];
  /** A client that reads what these bring pays as much for them as we do. */
  const evenhanded = new Set(["of SETTINGS", "of PING"]);
  const cases = floods.flatMap(([name, frames]) =>
    (evenhanded.has(name) ? [false] : [false, true]).map(
      (reads) => [name, reads ? "reads" : "does not read", reads, frames] as const,
    ),
  );
  it.each(cases)(
    "%s ends the connection of a client that %s, and no other",
    async (_, _how, reads, frames) => {
      const server = await startHttp2(() => {});
      const other = http2Client(server.port);
      const stream = other.request({});
      await until(() => server.requests.length === 1);
      const client = rawHttp2(server.port);
      if (!reads) client.socket.pause();
      client.send(...frames());
      const [, flooded] = server.sockets;
      await until(() => flooded?.destroyed ?? server.sockets[1]?.destroyed ?? false);
      expect(server.requests.length).toBeLessThan(1_000);
      const [request] = server.requests;
      if (request) answer(request.incoming);
      const status = await new Promise((resolve) =>
        stream.on("response", (headers) => resolve(headers[":status"])),
      );
      expect(status).toBe(200);
    },
  );

  it("of new streams beyond those allowed is refused as not processed", async () => {
    const server = await startHttp2(() => {}, { streams: 3 });
    const client = rawHttp2(server.port);
    client.send(...ids(5).map((id) => frame("HEADERS", END_STREAM | END_HEADERS, id, headerBlock(GET))));
    await until(() => client.resets().length === 2);
    expect(client.resets()).toEqual([7, 7]);
    expect(server.requests).toHaveLength(3);
  });
});
