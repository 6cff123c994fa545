// What the rows of a replica come to, as of exactly one position: two replicas with the same entries have the same digest, or
// one of them lost something that no checksum shows.
import { xxh64 } from '../../digest/xxh64.ts'
import { wasNotRead } from '../drive-errors.ts'
import { openStoredRow, type StoredCursor } from '../meta-rows/meta-rows.ts'
import type { ReplicaDrive } from './replica-drive.ts'

/** How far a digest is. */
export type DigestState =
  /** The rows are not there yet, or nothing comes of it any more. */
  | { kind: 'waiting' }
  | { kind: 'reading' }
  /** The rows were further already. */
  | { kind: 'passed' }
  /** `digest`: as hex. */
  | { kind: 'digest'; epoch: number; rows: number; digest: string }
  /** A row can not be read, or does not verify. */
  | { kind: 'rotten' }

/** Whose rows are read. */
export interface DigestSource {
  drive: Pick<ReplicaDrive, 'cursor' | 'appliedIn'>
  slot: () => number
  /** Calls back between two changes of the rows. */
  see: (look: () => void) => void
  /** Calls back when the rows are exactly there, before anything else is applied; never, when they pass it by. */
  seeAt: (sequence: number, look: () => void) => void
  /** Rests between two portions; throws when nobody waits any more. */
  pace: () => Promise<void>
  /** Once it aborts, what can not be read says nothing of the rows. */
  ended: AbortSignal
}

const PORTION_ROWS = 256

/** One digest under way. */
export class DigestJob {
  #state: DigestState = { kind: 'waiting' }

  constructor(source: DigestSource, sequence: number) {
    source.see(() => {
      const applied = source.drive.appliedIn(source.slot()).sequence
      if (applied > sequence) this.#state = { kind: 'passed' }
      else if (applied === sequence) this.#begin(source)
      else source.seeAt(sequence, () => this.#begin(source))
    })
  }

  get state(): DigestState {
    return this.#state
  }

  /** A cursor of a LevelDB shows the rows as they were when it was made. */
  #begin(source: DigestSource): void {
    this.#state = { kind: 'reading' }
    const slot = source.slot()
    const { epoch } = source.drive.appliedIn(slot)
    const cursor = source.drive.cursor(slot, { from: new Uint8Array() })
    digestRows(cursor, slot, source)
      .then((found) => {
        this.#state = found === undefined ? { kind: 'rotten' } : { kind: 'digest', epoch, ...found }
      })
      // LevelDB could not read on. Or the drive is closed, fails or has too much to do, or nobody waits: nothing is known of the rows then.
      .catch((error) => {
        const isUnknown = source.ended.aborted || wasNotRead(error)
        this.#state = { kind: isUnknown ? 'waiting' : 'rotten' }
      })
  }
}

/** Undefined where a row does not verify. */
async function digestRows(
  cursor: StoredCursor,
  slot: number,
  { pace }: Pick<DigestSource, 'pace'>,
): Promise<{ rows: number; digest: string } | undefined> {
  let digest = 0n
  let rows = 0
  try {
    for (;;) {
      const stored = await cursor.next(PORTION_ROWS)
      for (const row of stored) {
        const value = openStoredRow(slot, row)
        if (value === undefined) return undefined
        digest = xxh64(value, xxh64(row.key, digest))
        rows += 1
      }
      if (stored.length < PORTION_ROWS) return { rows, digest: digest.toString(16) }
      await pace()
    }
  } finally {
    await cursor.close()
  }
}
