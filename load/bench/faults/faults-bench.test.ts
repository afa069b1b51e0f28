import { once } from "node:events";
import { createServer as createHttpServer, get } from "node:http";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { waitFor } from "../../../test/support/cluster.ts";
import { epochMs, type FaultyBackend, startFaultyBackend } from "./backends.ts";
import { startClients } from "./clients.ts";
import { atMost, bucketsOf, countOf, since } from "./histogram.ts";
import { KINDS } from "./kinds.ts";
import { watchLateness } from "./lateness.ts";
import { type Answered, failuresInWords, packed, percentileMs, shareOf, unpacked } from "./records.ts";
import { startRelay } from "./relay.ts";
import { resultOf } from "./run-kind.ts";

const answered = (more: Partial<Answered>): Answered => ({
  dueMs: 0,
  tookMs: 1,
  result: 200,
  backend: 1,
  ...more,
});

describe("what clients saw", () => {
  it("comes through between processes as it was", () => {
    const answers = [answered({ dueMs: 1.5, result: -3 }), answered({ tookMs: 7, backend: 8 })];
    expect(unpacked(packed(answers))).toEqual(answers);
  });

  it("is a failure with a status of 500 or more, or without a complete answer; each kind is named", () => {
    const results = [200, 404, 502, 502, -2, -3, -4].map((result) => answered({ result }));
    expect(failuresInWords(results)).toBe(
      "5: 2 × 502, 1 × reset before an answer, 1 × answer cut off, 1 × no answer in time",
    );
    expect(failuresInWords([answered({ result: 404 })])).toBe("0");
  });

  it("has percentiles of times, and shares of backends", () => {
    const answers = Array.from({ length: 101 }, (_, i) => answered({ tookMs: i, backend: i < 25 ? 3 : 1 }));
    expect(percentileMs(answers, 0.99)).toBe(99);
    expect(shareOf(answers, 3)).toBeCloseTo(25 / 101);
  });
});

describe("a histogram on a metrics page", () => {
  const page = (...counts: number[]) =>
    [0.01, 0.02, 0.05, "+Inf"]
      .map((le, i) => `seen_bucket{le="${le}",by="event"} ${counts[i]}`)
      .concat('seen_bucket{le="0.01",by="read"} 99', 'other_bucket{le="0.01",by="event"} 99')
      .join("\n");

  it("answers borders below which a share lies, over several pages and since an earlier look", () => {
    const earlier = bucketsOf([page(5, 5, 5, 5)], "seen", 'by="event"');
    const later = bucketsOf([page(55, 103, 105, 105), page(0, 0, 0, 0)], "seen", 'by="event"');
    const buckets = since(later, earlier);
    expect(countOf(buckets)).toBe(100);
    expect([0.5, 0.51, 0.98, 0.99, 1].map((share) => atMost(buckets, share))).toEqual([
      0.01, 0.02, 0.02, 0.05, 0.05,
    ]);
  });

  it("says that no border is known of what is beyond the last, and nothing of nothing", () => {
    expect(atMost(bucketsOf([page(0, 0, 0, 1)], "seen", 'by="event"'), 1)).toBe(Number.POSITIVE_INFINITY);
    expect(atMost(bucketsOf([""], "seen"), 1)).toBeNaN();
  });
});

describe("what was seen of a fault", () => {
  const kind = KINDS.killed as (typeof KINDS)["killed"];
  const seen = (more: Partial<Parameters<typeof resultOf>[0]>) =>
    resultOf({
      kind,
      backend: { number: 1, id: "b1" } as FaultyBackend,
      held: 0,
      faultMs: 1_000,
      liftedMs: 5_000,
      wasOut: true,
      late: { p99Ms: 1, maxMs: 2 },
      answers: [answered({ dueMs: 900, tookMs: 5 }), answered({ dueMs: 1_010, tookMs: 9 })],
      watching: {
        picked: [
          { gateway: "g1", atMs: 990, count: 7 },
          { gateway: "g1", atMs: 1_020, count: 2 },
          { gateway: "g2", atMs: 1_050, count: 1 },
          { gateway: "g2", atMs: 6_100, count: 1 },
        ],
        changes: [
          { backend: "b2", health: "unhealthy", reason: "probe", detail: null, atMs: 1_001 },
          { backend: "b1", health: "unhealthy", reason: "traffic", detail: "3 in a row", atMs: 1_030 },
          { backend: "b1", health: "healthy", reason: "probe", detail: null, atMs: 6_000 },
        ],
      },
      ...more,
    });

  it("counts from the fault, from the first failure, and from the end of the fault", () => {
    expect(seen({})).toMatchObject({
      picks: 3,
      lastPickMs: 50,
      lastPickAfterFailureMs: 30,
      outMs: 30,
      outBy: "traffic: 3 in a row",
      outsMs: [4_970],
      healthyMs: 1_000,
      firstPickMs: 1_100,
      p99Ms: { before: 5, during: 9 },
    });
    expect(seen({ held: 1 }).lastPickAfterFailureMs).toBe(50);
  });

  it("holds a late pick, or a failed response, against the bound", () => {
    expect(kind.bound?.holds(seen({}))).toBe(true);
    expect(kind.bound?.holds(seen({ answers: [answered({ result: 502 })] }))).toBe(false);
    expect(
      kind.bound?.holds(
        seen({ faultMs: 900, watching: { picked: [{ gateway: "g", atMs: 1_001, count: 1 }], changes: [] } }),
      ),
    ).toBe(false);
  });

  it("does not take a backend that never returned for one that did", () => {
    expect(seen({ watching: { picked: [], changes: [] } })).toMatchObject({
      outMs: null,
      healthyMs: null,
      firstPickMs: null,
    });
  });
});

describe("how late timers are", () => {
  it("shows that this process could not run for a while", async () => {
    const lateness = watchLateness();
    await sleep(50);
    const untilMs = performance.now() + 120;
    while (performance.now() < untilMs);
    await sleep(20);
    const { p99Ms, maxMs } = lateness();
    expect(maxMs).toBeGreaterThanOrEqual(100);
    expect(p99Ms).toBeLessThanOrEqual(maxMs);
  });
});

/** Status and length, or the code of the error and how much had come. */
const asked = (url: string): Promise<string> =>
  new Promise((resolve) => {
    let length = 0;
    const fail = ({ code }: NodeJS.ErrnoException) =>
      resolve(length === 0 ? `${code}` : `${code} after ${length}`);
    get(url, { agent: false }, (response) => {
      response.on("data", (chunk) => {
        length += chunk.length;
      });
      response.on("end", () => resolve(`${response.statusCode} ${length}`));
      response.on("error", fail);
    }).on("error", fail);
  });

describe("a backend that misbehaves", () => {
  it("does what it is told, says when, and is well again after it", async () => {
    const backend = await startFaultyBackend(1, 1);
    try {
      const item = `${backend.url}/item`;
      expect(await asked(item)).toBe("200 1024");
      const seen: Record<string, string> = {};
      for (const behaviour of ["errors", "resetting", "refusing", "unwell"] as const) {
        const beforeMs = epochMs();
        expect(await backend.behave(behaviour)).toBeGreaterThanOrEqual(beforeMs - 2);
        seen[behaviour] = await asked(item);
        seen[`${behaviour}, probe`] = await asked(`${backend.url}/healthz`);
      }
      expect(seen).toEqual({
        errors: "500 1024",
        "errors, probe": "500 1024",
        resetting: "ECONNRESET after 512",
        "resetting, probe": "ECONNRESET after 512",
        refusing: "ECONNREFUSED",
        "refusing, probe": "ECONNREFUSED",
        unwell: "200 1024",
        "unwell, probe": "503 1024",
      });
      await backend.kill();
      expect(await asked(item)).toBe("ECONNREFUSED");
      await backend.restart();
      expect(await asked(item)).toBe("200 1024");
    } finally {
      await backend.stop();
    }
  });

  it("does not answer while it is frozen", async () => {
    const backend = await startFaultyBackend(1, 1);
    try {
      const frozenMs = await backend.freeze();
      let answer: string | null = null;
      const asking = asked(backend.url).then((text) => {
        answer = text;
      });
      await sleep(100);
      expect(answer).toBeNull();
      expect((await backend.thaw()) - frozenMs).toBeGreaterThanOrEqual(100);
      await asking;
      expect(answer).toBe("200 1024");
    } finally {
      await backend.stop();
    }
  });
});

const listening = async (server: Server): Promise<number> => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
};

describe("the clients", () => {
  it("ask at the rate they are told, in turn, and record what became of each request", async () => {
    const good = createHttpServer((_, response) => response.setHeader("x-evenkeel-backend", "b3").end("ok"));
    const cutting = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"));
    });
    const gone = createServer();
    const ports = await Promise.all([good, cutting, gone].map(listening));
    gone.close();
    await once(gone, "close");
    const clients = startClients(ports);
    try {
      const answers: Answered[] = [];
      clients.ask("/", 300);
      await waitFor(async () => answers.push(...(await clients.take())) >= 90, {
        timeoutMs: 10_000,
        what: "90 records",
      });
      const counts = new Map<number, number>();
      for (const { result } of answers) counts.set(result, (counts.get(result) ?? 0) + 1);
      expect([...counts.keys()].sort()).toEqual([-1, -3, 200]);
      for (const count of counts.values()) expect(count / answers.length).toBeCloseTo(1 / 3, 1);
      expect(shareOf(answers, 3)).toBeCloseTo(1 / 3, 1);
      const due = answers.map(({ dueMs }) => dueMs).sort((a, b) => a - b);
      expect((due.at(-1) as number) - (due[0] as number)).toBeCloseTo(
        (answers.length - 1) * (1_000 / 300),
        -2,
      );
    } finally {
      await clients.stop();
      good.close();
      good.closeAllConnections();
      cutting.close();
    }
  });
});

describe("the relay before Redis", () => {
  it("passes all on, and loses or cuts what belongs to the gateways' subscribers alone", async () => {
    const echo = createServer((socket) => {
      socket.on("error", () => {});
      socket.pipe(socket);
    });
    const relay = await startRelay(await listening(echo));
    const open = async (name: string) => {
      const socket = connect(Number(new URL(relay.url).port), "127.0.0.1");
      const client = { text: "", closed: false, say: (text: string) => void socket.write(text) };
      socket.on("error", () => {});
      socket.on("data", (chunk) => {
        client.text += chunk;
      });
      socket.on("close", () => {
        client.closed = true;
      });
      client.say(`CLIENT SETNAME ${name}\r\n`);
      return client;
    };
    const until = (what: string, condition: () => boolean) => waitFor(condition, { timeoutMs: 5_000, what });
    try {
      const subscriber = await open("gateway-1.abc:events");
      const other = await open("scheduler-1.abc:events");
      await until("both names", () => [subscriber, other].every(({ text }) => text.includes(":events")));
      expect(relay.subscribers).toBe(1);
      relay.pass("silent");
      subscriber.say("lost");
      other.say("heard");
      await until("the other's", () => other.text.includes("heard"));
      relay.pass("cut");
      await until("the cut", () => subscriber.closed);
      const late = await open("gateway-2.abc:events");
      await until("the refusal", () => late.closed);
      expect([subscriber.text, late.text, other.closed]).toEqual([
        "CLIENT SETNAME gateway-1.abc:events\r\n",
        "",
        false,
      ]);
    } finally {
      await relay.stop();
      echo.close();
    }
  });
});
