// How settles travel on a connection of their own (docs/decisions/0009): frames of a 4 byte length (of what follows it,
// big endian), a 1 byte kind, a 4 byte number that an answer repeats, and UTF-8 text.

/** What both sides name in the HTTP upgrade. Whoever changes the frames or what is in them changes this. */
export const SETTLE_PROTOCOL = "evenkeel-settle/2";
/** Where the scheduler's API takes the upgrade. */
export const SETTLE_PATH = "/v1/settle";

export const KIND = {
  /** Gateway → scheduler: the pool's name, a line feed, a SettleRequest in JSON. */
  settle: 1,
  /** A SettleResponse in JSON. */
  answer: 2,
  /** In place of an answer: a `Refusal` in JSON. */
  refusal: 3,
  /** Scheduler → gateway, in plain words: why it ends. What was sent is still answered; send no more. */
  closing: 4,
  /** Either side may ask whether the other is there. */
  ping: 5,
  pong: 6,
} as const;

export type Kind = (typeof KIND)[keyof typeof KIND];

export interface Refusal {
  /** As HTTP would have it: from 500 on another scheduler may do better. */
  status: number;
  code: string;
  error: string;
  /** JSON pointer to what is at fault. */
  at?: string;
}

export interface Frame {
  kind: Kind;
  /** Chosen by who asks; 0 where nobody does. */
  id: number;
  text: string;
}

/** Largest text of a settle: a full row and outcomes for each of 10 000 backends come to half of this. */
export const SETTLE_BYTES_MAX = 4 * 1024 * 1024;
/** Largest text of an answer: one may carry a pool of 10 000 backends. */
export const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
/** Unanswered settles on one connection: one for each pool, and then some. */
export const SETTLES_IN_FLIGHT_MAX = 4_096;
export const ID_MAX = 0xffff_ffff;

const LENGTH_BYTES = 4;
const HEAD_BYTES = 5;
const PREFIX_BYTES = LENGTH_BYTES + HEAD_BYTES;
/** Pieces of one frame kept apart; more are joined, so that a peer that sends single bytes costs their number. */
const CHUNKS_MAX = 1_024;
const KINDS: ReadonlySet<number> = new Set(Object.values(KIND));

export function encodeFrame(kind: Kind, id: number, text: string): Buffer {
  const bytes = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + bytes);
  frame.writeUInt32BE(HEAD_BYTES + bytes, 0);
  frame.writeUInt8(kind, LENGTH_BYTES);
  frame.writeUInt32BE(id, LENGTH_BYTES + 1);
  frame.write(text, PREFIX_BYTES, "utf8");
  return frame;
}

export interface FrameReader {
  /**
   * The next bytes of the stream, however it was cut. Frames that they complete are handed over in order.
   * Answers what is wrong with the stream, else null; after a fault nothing more is read.
   */
  push(chunk: Buffer): string | null;
}

/** @param textMax bytes of text in one frame; what announces more is refused before it is taken in */
export function createFrameReader(textMax: number, onFrame: (frame: Frame) => void): FrameReader {
  /** Received and not yet handed over; joined only when there is a whole frame, so that a large one is copied once. */
  let chunks: Buffer[] = [];
  let have = 0;
  let need = PREFIX_BYTES;
  let fault: string | null = null;

  const join = (): Buffer => (chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, have));

  const keep = (rest: Buffer): void => {
    chunks = rest.length > 0 ? [rest] : [];
    have = rest.length;
  };

  /** Hands over the whole frames at the beginning of `bytes`; answers where they end. */
  const takeWhole = (bytes: Buffer): number => {
    let at = 0;
    need = PREFIX_BYTES;
    while (bytes.length - at >= PREFIX_BYTES) {
      const length = bytes.readUInt32BE(at);
      const kind = bytes.readUInt8(at + LENGTH_BYTES);
      fault = faultOf(length, kind, textMax);
      if (fault !== null) return bytes.length;
      const end = at + LENGTH_BYTES + length;
      if (end > bytes.length) {
        need = end - at;
        return at;
      }
      const id = bytes.readUInt32BE(at + LENGTH_BYTES + 1);
      onFrame({ kind: kind as Kind, id, text: bytes.toString("utf8", at + PREFIX_BYTES, end) });
      at = end;
    }
    return at;
  };

  return {
    push(chunk) {
      if (fault !== null) return fault;
      chunks.push(chunk);
      have += chunk.length;
      if (have >= need) {
        const bytes = join();
        keep(bytes.subarray(takeWhole(bytes)));
      } else if (chunks.length === CHUNKS_MAX) {
        chunks = [join()];
      }
      return fault;
    },
  };
}

function faultOf(length: number, kind: number, textMax: number): string | null {
  if (length < HEAD_BYTES) return `a frame of ${length} bytes is too short`;
  if (length - HEAD_BYTES > textMax) return `a frame of ${length} bytes is too long, the most is ${textMax}`;
  return KINDS.has(kind) ? null : `${kind} is no kind of frame`;
}
