// Work that cannot be cancelled, but need not be waited for.

/** @throws the signal's reason as soon as it is aborted, whatever becomes of the work */
export function interruptible<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const stopped = Promise.withResolvers<never>();
  const abort = () => stopped.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  return Promise.race([work, stopped.promise]).finally(() => signal.removeEventListener("abort", abort));
}
