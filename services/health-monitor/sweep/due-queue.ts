// What is due next: a binary heap.

export interface Due<T> {
  dueMs: number;
  what: T;
}

export interface DueQueue<T> {
  readonly size: number;
  push(due: Due<T>): void;
  /** The earliest. */
  peek(): Due<T> | undefined;
  pop(): Due<T> | undefined;
}

export function createDueQueue<T>(): DueQueue<T> {
  const heap: Due<T>[] = [];
  const at = (i: number) => heap[i] as Due<T>;
  const earlier = (i: number, j: number) => at(i).dueMs < at(j).dueMs;

  function swap(i: number, j: number): void {
    const due = at(i);
    heap[i] = at(j);
    heap[j] = due;
  }

  function rise(from: number): void {
    for (let i = from; i > 0; ) {
      const parent = (i - 1) >> 1;
      if (!earlier(i, parent)) return;
      swap(i, parent);
      i = parent;
    }
  }

  function sink(): void {
    for (let i = 0; ; ) {
      const left = 2 * i + 1;
      const right = left + 1;
      let least = i;
      if (left < heap.length && earlier(left, least)) least = left;
      if (right < heap.length && earlier(right, least)) least = right;
      if (least === i) return;
      swap(i, least);
      i = least;
    }
  }

  return {
    get size() {
      return heap.length;
    },
    push(due) {
      heap.push(due);
      rise(heap.length - 1);
    },
    peek: () => heap[0],
    pop() {
      const first = heap[0];
      const last = heap.pop();
      if (heap.length > 0 && last) {
        heap[0] = last;
        sink();
      }
      return first;
    },
  };
}
