// Work put off to the end of this turn of the event loop, all of it in one go: requests that were read together are
// stated together, and statements made together leave in one write.

/** @returns puts off; within a turn in the order of the calls */
export function createEndOfTurn(): (work: () => void) => void {
  let due: (() => void)[] = [];
  const run = () => {
    const all = due;
    due = [];
    for (const work of all) work();
  };
  return (work) => {
    if (due.push(work) === 1) setImmediate(run);
  };
}
