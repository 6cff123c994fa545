// Heads that were decoded a short while ago, by the very bytes they were decoded from. Whoever keeps rows in memory hands
// out the same bytes until the row changes, and other bytes then: so what is known here is never older than the row.
import { decodeHeadRow, type Head } from './head-row.ts'

/** About 4 MiB. */
const HEADS_MAX = 4096

const known = new Map<Uint8Array, Head>()

/** The head in a row whose bytes nobody changes. It is shared: nobody may change it either. */
export function readHeadRow(row: Uint8Array): Head {
  const before = known.get(row)
  if (before !== undefined) return before
  const head = decodeHeadRow(row)
  // A view of something larger would keep all of that, and is nobody's copy that comes again.
  if (row.byteLength !== row.buffer.byteLength) return head
  Object.freeze(head)
  Object.freeze(head.version)
  known.set(row, head)
  if (known.size > HEADS_MAX) forgetOldest()
  return head
}

function forgetOldest(): void {
  const [oldest] = known.keys()
  if (oldest !== undefined) known.delete(oldest)
}
