// A process that gives back every socket it is handed, so that a test has a copy of it as from another process.
process.on("message", (message, handle) => {
  process.send?.(message, handle as never, {}, () => (handle as unknown as { close(): void }).close());
});
