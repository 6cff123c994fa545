// Waiting that ends with a signal, for work that goes on by itself when nobody waits any more.

/** What `work` gives, or the reason of the signal. */
export function unlessAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(signal.reason)
    const end = (): void => signal.removeEventListener('abort', leave)
    signal.addEventListener('abort', leave, { once: true })
    work.then(resolve, reject).finally(end)
    if (signal.aborted) leave()
  })
}
