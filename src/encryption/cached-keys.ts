// Remembers unwrapped data keys for a moment, so that an object read in many ranges does not ask a server for each.
// Never used for keys of clients.
import type { Clock } from '../kit/world.ts'
import type { KeyProvider } from './key-provider.ts'

/** How long a key that was taken back at its provider can still be used here. */
const KEPT_MS = 60_000

const KEPT_MAX = 1_000

interface Kept {
  untilMs: number
  dataKey: Promise<Uint8Array>
}

/** `provider`, asked once in a while. What fails is not remembered. */
export function cacheKeys(
  provider: KeyProvider,
  { clock }: { clock: Pick<Clock, 'monotonicMs'> },
): KeyProvider {
  const kept = new Map<string, Kept>()
  return {
    newDataKey: (request) => provider.newDataKey(request),
    unwrap: (wrappedKey, request) => {
      const name = `${Buffer.from(wrappedKey).toString('base64')} ${request.context ?? ''}`
      const nowMs = clock.monotonicMs()
      const known = kept.get(name)
      if (known && known.untilMs > nowMs) return known.dataKey
      kept.delete(name)
      dropOld(kept, nowMs)
      const dataKey = provider.unwrap(wrappedKey, request)
      const entry = { untilMs: nowMs + KEPT_MS, dataKey }
      kept.set(name, entry)
      dataKey.catch(() => {
        if (kept.get(name) === entry) kept.delete(name)
      })
      return dataKey
    },
  }
}

/** Entries stand in the order of their ends: all that are over go, and the oldest when there are too many. */
function dropOld(kept: Map<string, Kept>, nowMs: number): void {
  for (const [name, { untilMs }] of kept) {
    if (untilMs > nowMs && kept.size < KEPT_MAX) return
    kept.delete(name)
  }
}
