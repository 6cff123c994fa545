// Records of metadata partitions in etcd: each has a key of its own, so that elections of many partitions are not in each
// other's way, and changes by compare-and-swap. Keys: docs/formats/etcd-keys.md.
import { asBuffer } from '../../kit/bytes.ts'
import type { World } from '../../kit/world.ts'
import { CoordinatorUnavailable } from '../coordinator.ts'
import { isClosedToRows } from '../departure.ts'
import type { Compare } from './etcd-wire.ts'
import type { KeyImage } from './key-image.ts'
import { holds, type NextRecord, type PartitionRecord } from './leadership.ts'
import type { EtcdMirror } from './mirror.ts'
import { fromJson, HEAD_KEY, readAgreed, toJson } from './state-keys.ts'

/** What became of a change. `lost`: another one was quicker. `unchanged`: the change itself wanted nothing. */
export type RecordChange =
  | { kind: 'changed'; record: PartitionRecord }
  | { kind: 'lost'; found: PartitionRecord | undefined }
  | { kind: 'unchanged'; found: PartitionRecord | undefined }

/** Keys behind the prefix. */
export const PARTITION_KEYS = 'partition/'

// An open outcome is looked into so often; after that nobody knows.
const TRIES = 3
const PAUSE_MS = 100

/** The records of a cluster. */
export class PartitionRecords {
  readonly #mirror: EtcdMirror
  readonly #world: Pick<World, 'clock' | 'random'>

  constructor(mirror: EtcdMirror, world: Pick<World, 'clock' | 'random'>) {
    this.#mirror = mirror
    this.#world = world
  }

  /** As last read: perhaps not the latest. Enough to know whom to ask, never to decide. */
  get(partitionId: number): PartitionRecord | undefined {
    return recordIn(this.#mirror.image, partitionId)
  }

  /** Calls back with every record that another one took the place of, and its partition. */
  watch(listener: (partitionId: number, record: PartitionRecord) => void): () => void {
    let known = this.#mirror.image
    return this.#mirror.onChange((image) => {
      for (const [key, { value }] of image.keys) {
        if (!key.startsWith(PARTITION_KEYS) || known.keys.get(key)?.value === value) continue
        listener(Number(key.slice(PARTITION_KEYS.length)), fromJson(value) as PartitionRecord)
      }
      known = image
    })
  }

  /**
   * Reads the record as it is now and makes one attempt to change it. `change` sees undefined where there is no record, and gives
   * undefined when it wants nothing. Rejects with CoordinatorUnavailable: `open` when nobody knows whether it was made.
   */
  async change(
    partitionId: number,
    change: (found: PartitionRecord | undefined) => NextRecord | undefined,
  ): Promise<RecordChange> {
    const image = await this.#mirror.refresh()
    const found = recordIn(image, partitionId)
    const next = change(found)
    if (next === undefined) return { kind: 'unchanged', found }
    // An abandoned change brings back what counted all the time.
    const counting = [...(found?.replicas ?? []), ...(found?.previous ?? [])]
    const added = next.replicas.filter((replica) => !holds(counting, replica))
    // What is closed by the map that it is compared with gets no replica: a drive leaves on that (departure.ts).
    const isGrowing = found !== undefined && added.length > 0
    if (isGrowing && added.some(({ driveId }) => isClosedIn(image, driveId)))
      return { kind: 'unchanged', found }
    const record = { ...next, id: asBuffer(this.#world.random.bytes(8)).toString('hex') }
    const compare = [
      { key: keyOf(partitionId), modRevision: revisionIn(image, partitionId) },
      ...(isGrowing ? [{ key: HEAD_KEY, modRevision: headRevisionIn(image) }] : []),
    ]
    return await this.#swap(partitionId, record, compare)
  }

  /**
   * Writes the first records of a cluster in one transaction, where none of them is there yet; false when one is, or nobody knows. At most
   * as many as etcd takes in a transaction. Rejects with CoordinatorUnavailable.
   */
  async createAll(records: ReadonlyMap<number, NextRecord>): Promise<boolean> {
    const changes = [...records].map(([partitionId, record]) => {
      const id = asBuffer(this.#world.random.bytes(8)).toString('hex')
      const value = toJson({ ...record, id })
      return { kind: 'put', key: keyOf(partitionId), value } as const
    })
    const compare = changes.map(({ key }) => ({ key, modRevision: 0 }))
    return (await this.#mirror.commit({ compare, changes })) === 'made'
  }

  async #swap(
    partitionId: number,
    record: PartitionRecord,
    compare: readonly Compare[],
  ): Promise<RecordChange> {
    const key = keyOf(partitionId)
    const commit = {
      compare,
      changes: [{ kind: 'put', key, value: toJson(record) } as const],
    }
    let open: unknown
    for (let tries = 0; tries < TRIES; tries += 1) {
      try {
        if ((await this.#mirror.commit(commit)) === 'made') return { kind: 'changed', record }
        const found = recordIn(await this.#mirror.refresh(), partitionId)
        // The answer to an attempt before was lost.
        return found?.id === record.id ? { kind: 'changed', record } : { kind: 'lost', found }
      } catch (error) {
        // What was sent before may have been made, whatever is refused now.
        if (!isOpen(error) && open === undefined) throw error
        open = error
      }
      await this.#world.clock.sleep(PAUSE_MS)
    }
    throw new CoordinatorUnavailable('nobody knows whether the partition was changed', {
      cause: open,
      why: 'open',
    })
  }
}

/** The record of a partition in an image. */
function recordIn(
  { keys }: Pick<KeyImage, 'keys'>,
  partitionId: number,
): PartitionRecord | undefined {
  const value = keys.get(keyOf(partitionId))?.value
  return value && (fromJson(value) as PartitionRecord)
}

function revisionIn({ keys }: KeyImage, partitionId: number): number {
  return keys.get(keyOf(partitionId))?.modRevision ?? 0
}

function headRevisionIn({ keys }: KeyImage): number {
  return keys.get(HEAD_KEY)?.modRevision ?? 0
}

function isClosedIn(image: KeyImage, driveId: number): boolean {
  const map = readAgreed(image)?.state.map
  return map !== undefined && isClosedToRows(map, driveId)
}

function keyOf(partitionId: number): string {
  return `${PARTITION_KEYS}${partitionId}`
}

function isOpen(error: unknown): boolean {
  if (!(error instanceof CoordinatorUnavailable)) return false
  return error.why === 'open' || error.why === 'away'
}
