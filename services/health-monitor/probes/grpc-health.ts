// The messages of grpc.health.v1.Health/Check, by hand: one string asked, one number answered.

/** HealthCheckResponse.ServingStatus */
const STATUS_NAMES = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"] as const;
/** Compressed or not, and the length. */
const PREFIX_BYTES = 5;
const SERVICE_FIELD = 0x0a;
const STATUS_FIELD = 1;
const VARINT_MAX_BYTES = 10;

/** @param service empty: the server as a whole */
export function healthRequest(service: string): Buffer {
  const name = Buffer.from(service);
  const message =
    name.length === 0 ? name : Buffer.concat([Buffer.from([SERVICE_FIELD, ...varint(name.length)]), name]);
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** The status's name. @throws for what is no such answer */
export function servingStatus(answer: Buffer): string {
  if (answer.length < PREFIX_BYTES || answer[0] !== 0) throw new Error("not a health answer");
  const end = PREFIX_BYTES + answer.readUInt32BE(1);
  if (answer.length < end) throw new Error("not a health answer");
  let status = 0;
  for (let at = PREFIX_BYTES; at < end; ) {
    const tag = readVarint(answer, at, end);
    const field = tag.value >>> 3;
    const kind = tag.value & 7;
    if (kind === 0) {
      const { value, next } = readVarint(answer, tag.next, end);
      if (field === STATUS_FIELD) status = value;
      at = next;
    } else {
      at = skipped(answer, tag.next, end, kind);
    }
  }
  return STATUS_NAMES[status] ?? `serving status ${status}`;
}

/** Past a field that newer servers may send. */
function skipped(answer: Buffer, at: number, end: number, kind: number): number {
  const length = kind === 2 ? readVarint(answer, at, end) : null;
  const next = length ? length.next + length.value : kind === 1 ? at + 8 : kind === 5 ? at + 4 : -1;
  if (next < at || next > end) throw new Error("not a health answer");
  return next;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let left = value; ; left >>>= 7) {
    if (left < 0x80) return [...bytes, left];
    bytes.push((left & 0x7f) | 0x80);
  }
}

function readVarint(bytes: Buffer, from: number, end: number): { value: number; next: number } {
  let value = 0;
  for (let i = 0; i < VARINT_MAX_BYTES && from + i < end; i += 1) {
    const byte = bytes[from + i] as number;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, next: from + i + 1 };
  }
  throw new Error("not a health answer");
}
