// Takes the rows of another replica over, beside the own ones: they count once the log says where they are.

import type { World } from '../../kit/world.ts'
import type { LogPosition } from '../../metadata/log/contract.ts'
import { isSamePosition } from '../../metadata/log/entry.ts'
import type { RowsPage } from './contract.ts'
import type { ReplicaDrive } from './replica-drive.ts'

/** Rows that are durable. */
export interface Copied {
  slot: number
  position: LogPosition
}

interface CopyParts {
  drive: Pick<ReplicaDrive, 'takeSlot' | 'freeSlot' | 'apply' | 'mark'>
  clock: World['clock']
  signal: AbortSignal
}

// Whoever sends nothing for so long is not waited for.
const PAGE_MS = 30_000

/** Writes pages into a slot of their own and makes them durable. Throws, and leaves nothing, when they do not come to their end. */
export async function copyRows(
  pages: AsyncIterable<RowsPage>,
  incarnation: string,
  parts: CopyParts,
): Promise<Copied> {
  const { drive } = parts
  const iterator = pages[Symbol.asyncIterator]()
  let slot: number | undefined
  try {
    const first = await nextPage(iterator, parts)
    if (first === undefined) throw new Error('a copy of rows has a page at least')
    const { position } = first
    slot = await drive.takeSlot(incarnation, position)
    for (let page: RowsPage | undefined = first; page; page = await nextPage(iterator, parts)) {
      if (!isSamePosition(page.position, position)) throw new Error('two copies are mixed up')
      const bytes = page.rows.reduce((sum, { key, value }) => sum + key.length + value.length, 0)
      await drive.apply(slot, { applied: position, batches: [[...page.rows]], bytes })
    }
    // The marker says that they are all there.
    await drive.mark({ force: true })
    return { slot, position }
  } catch (error) {
    // It fails because it was ended: nobody waits for it.
    iterator.return?.().catch(() => undefined)
    if (slot !== undefined) await drive.freeSlot(slot)
    throw error
  }
}

async function nextPage(
  iterator: AsyncIterator<RowsPage>,
  { clock, signal }: CopyParts,
): Promise<RowsPage | undefined> {
  const waiting = new AbortController()
  const given = AbortSignal.any([signal, waiting.signal])
  const late = clock.sleep(PAGE_MS, given).then(() => {
    throw new Error('no rows came for long')
  })
  try {
    const next = await Promise.race([iterator.next(), late])
    signal.throwIfAborted()
    return next.done ? undefined : next.value
  } finally {
    late.catch(() => undefined) // It came in time.
    waiting.abort()
  }
}
