// Batches for a LevelDB whose keys and values are bytes as they are stored. The library clones every operation twice and asks
// for its encodings, and LevelDB's side of it looks up every property of an operation by its name: together more of the main
// thread than all else about a row. Here keys and values go into a batch of LevelDB as they are.
import type { AbstractLevel } from 'abstract-level'
import { assert } from '../kit/assert.ts'
import { kibibytes } from '../kit/bytes.ts'

type Level = AbstractLevel<string | Buffer | Uint8Array, Uint8Array, Uint8Array>

/** One operation, as LevelDB takes it. */
type Operation =
  | { type: 'put'; key: Uint8Array; value: Uint8Array }
  | { type: 'del'; key: Uint8Array }

/** What abstract-level has databases do once it has encoded what it was given. */
interface StoredLevel {
  _batch(operations: readonly Operation[], options: object): Promise<void>
  _chainedBatch(): FilledBatch
}

/** A batch that is filled operation by operation; closed with its LevelDB. */
interface FilledBatch {
  _put(key: Uint8Array, value: Uint8Array): void
  _del(key: Uint8Array): void
  _clear(): void
  _write(options: object): Promise<void>
}

const NO_OPTIONS = {}

/** A batch keeps the memory of the longest that it was: longer ones are not kept. */
const KEPT_BYTES = kibibytes(256)

/** Makes batch() of an opened LevelDB, whose encodings are 'view', take operations as they are. Nothing may listen to its writes. */
export function storeBatchesAsTheyAre(level: Level): void {
  const stored = level as unknown as StoredLevel
  const usual = level.batch.bind(level) as (...given: unknown[]) => unknown
  // As many as were ever under way at once.
  const idle: FilledBatch[] = []
  const write = async (operations: readonly Operation[], options: object): Promise<void> => {
    const filled = idle.pop() ?? stored._chainedBatch()
    try {
      for (const operation of operations) {
        if (operation.type === 'put') filled._put(operation.key, operation.value)
        else filled._del(operation.key)
      }
      await filled._write(options)
    } finally {
      filled._clear()
      idle.push(filled)
    }
  }
  const batch = (...given: [operations?: readonly Operation[], options?: object]): unknown => {
    const [operations, options = NO_OPTIONS] = given
    // What is closed, or wants a chained batch, hears of the library what it has to say.
    const isPlain = operations !== undefined && operations.length > 0 && level.status === 'open'
    if (!isPlain) return usual(...given)
    let bytes = 0
    for (const operation of operations) bytes += bytesOf(operation)
    return bytes > KEPT_BYTES ? stored._batch(operations, options) : write(operations, options)
  }
  level.batch = batch as typeof level.batch
}

/** LevelDB would pass over what it does not understand, and say that all is written. */
function bytesOf(operation: { type: string; key: unknown; value?: unknown }): number {
  const { type, key, value } = operation
  assert(key instanceof Uint8Array, 'an operation has a key')
  if (type === 'del') return key.length
  assert(type === 'put' && value instanceof Uint8Array, 'an operation is whole')
  return key.length + value.length
}
