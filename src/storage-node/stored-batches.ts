// Batches for a LevelDB whose keys and values are bytes as they are stored. The library clones every operation twice and asks
// for its encodings, which takes more of the main thread than all else about a row: here operations go to LevelDB as they are.
import type { AbstractLevel } from 'abstract-level'
import { assert } from '../kit/assert.ts'

type Level = AbstractLevel<string | Buffer | Uint8Array, Uint8Array, Uint8Array>

/** One operation, as LevelDB takes it. */
type Operation =
  | { type: 'put'; key: Uint8Array; value: Uint8Array }
  | { type: 'del'; key: Uint8Array }

/** What abstract-level has databases do once it has encoded what it was given. */
interface StoredBatch {
  _batch(operations: readonly Operation[], options: object): Promise<void>
}

const NO_OPTIONS = {}

/** Makes batch() of an opened LevelDB, whose encodings are 'view', take operations as they are. Nothing may listen to its writes. */
export function storeBatchesAsTheyAre(level: Level): void {
  const stored = level as unknown as StoredBatch
  const usual = level.batch.bind(level) as (...given: unknown[]) => unknown
  const batch = (...given: [operations?: readonly Operation[], options?: object]): unknown => {
    const [operations, options] = given
    // What is closed, or wants a chained batch, hears of the library what it has to say.
    const isPlain = operations !== undefined && operations.length > 0 && level.status === 'open'
    if (!isPlain) return usual(...given)
    for (const operation of operations) assert(isOperation(operation), 'an operation is whole')
    return stored._batch(operations, options ?? NO_OPTIONS)
  }
  level.batch = batch as typeof level.batch
}

/** LevelDB passes over what it does not understand, and says that all is written. */
function isOperation({
  type,
  key,
  value,
}: {
  type: string
  key: unknown
  value?: unknown
}): boolean {
  if (!(key instanceof Uint8Array)) return false
  return type === 'del' || (type === 'put' && value instanceof Uint8Array)
}
