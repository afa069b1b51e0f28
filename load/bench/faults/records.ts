// What became of requests, as clients saw it, and what is said about many of them. Pure.

/** In place of a status. */
export const NO_STATUS = { refused: -1, reset: -2, cut: -3, timeout: -4, invalid: -5, unsent: -6 } as const;

const WORDS: ReadonlyMap<number, string> = new Map([
  [NO_STATUS.refused, "connection refused"],
  [NO_STATUS.reset, "reset before an answer"],
  [NO_STATUS.cut, "answer cut off"],
  [NO_STATUS.timeout, "no answer in time"],
  [NO_STATUS.invalid, "not HTTP"],
  [NO_STATUS.unsent, "not sent, too many were open"],
]);

export interface Answered {
  /** When it was due, ms since the epoch. */
  dueMs: number;
  /** From then to the end of its answer. */
  tookMs: number;
  /** A status, or one of NO_STATUS. */
  result: number;
  /** Number of the backend that answered; 0: none is known. */
  backend: number;
}

const FIELDS = 4;

/** Between processes: four numbers each. */
export const packed = (answers: readonly Answered[]): Float64Array =>
  Float64Array.from(
    answers.flatMap(({ dueMs, tookMs, result, backend }) => [dueMs, tookMs, result, backend]),
  );

export const unpacked = (numbers: Float64Array): Answered[] =>
  Array.from({ length: numbers.length / FIELDS }, (_, i) => {
    const [dueMs, tookMs, result, backend] = numbers.subarray(i * FIELDS) as unknown as [
      number,
      number,
      number,
      number,
    ];
    return { dueMs, tookMs, result, backend };
  });

export const failed = ({ result }: Answered): boolean => result < 0 || result >= 500;

/** "0", or "3: 2 × 502, 1 × answer cut off". */
export function failuresInWords(answers: readonly Answered[]): string {
  const counts = new Map<number, number>();
  for (const { result } of answers.filter(failed)) counts.set(result, (counts.get(result) ?? 0) + 1);
  const sum = [...counts.values()].reduce((total, n) => total + n, 0);
  const parts = [...counts].map(([result, n]) => `${n} × ${WORDS.get(result) ?? result}`);
  return sum === 0 ? "0" : `${sum}: ${parts.join(", ")}`;
}

export const dueWithin = (answers: readonly Answered[], fromMs: number, toMs: number): Answered[] =>
  answers.filter(({ dueMs }) => dueMs >= fromMs && dueMs < toMs);

/** NaN of nothing. */
export function percentileMs(answers: readonly Answered[], share: number): number {
  const sorted = Float64Array.from(answers, ({ tookMs }) => tookMs).sort();
  return sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
}

/** Of the answers, by this backend; NaN of nothing. */
export const shareOf = (answers: readonly Answered[], backend: number): number =>
  answers.filter((one) => one.backend === backend).length / answers.length;
