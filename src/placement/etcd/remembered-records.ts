// Records of partitions as several remember them: which is the newest of each partition, and whether all of them can be of one history. Pure.
// A record names no ancestors, as a head does: that two are of different histories shows in what each has that the other lacks.
import type { KeyImage } from './key-image.ts'
import type { PartitionRecord } from './leadership.ts'
import { PARTITION_KEYS } from './partition-records.ts'
import { EPOCHS_OF_GENERATION, fromJson, HEAD_KEY, type Head } from './state-keys.ts'

/** A record, or the head, and the revision of etcd that changed it last. */
interface Entry {
  value: Pick<PartitionRecord, 'epoch' | 'id'> & Partial<PartitionRecord>
  modRevision: number
}

/** By partition. */
export type RememberedRecords = ReadonlyMap<number, Entry & { value: PartitionRecord }>

/** What somebody knows of etcd. */
export interface Witness {
  image: KeyImage
  head: Head
  records: RememberedRecords
}

/** Those in an image. `attempts`: ids of restores that were cut short; what they wrote stands for what it was made of. */
export function recordsIn({ keys }: KeyImage, attempts: readonly string[] = []): RememberedRecords {
  const records = new Map<number, Entry & { value: PartitionRecord }>()
  for (const [key, { value, modRevision }] of keys) {
    if (!key.startsWith(PARTITION_KEYS)) continue
    const record = asBefore(fromJson(value) as PartitionRecord, attempts)
    records.set(Number(key.slice(PARTITION_KEYS.length)), { value: record, modRevision })
  }
  return records
}

/** By partition: the record of the highest epoch that anyone has. */
export function newestRecords(
  remembered: readonly RememberedRecords[],
): Map<number, PartitionRecord> {
  const newest = new Map<number, PartitionRecord>()
  for (const records of remembered) {
    for (const [id, { value: record }] of records) {
      const known = newest.get(id)
      if (known === undefined || isNewer(record, known)) newest.set(id, record)
    }
  }
  return newest
}

/**
 * Neither can have gone on from what the other knows: each has changes that the other lacks, or one record went two ways. Of two
 * generations the earlier was judged when it ended.
 */
export function contradict(one: Witness, other: Witness): boolean {
  if (one.head.generation !== other.head.generation) return false
  const [mine, theirs]: [Entry[], Entry[]] = [[], []]
  for (const [own, others] of sharedEntries(one, other)) {
    const order = compareEntries(own, others)
    if (order === 'apart') return true
    if (order === 'ahead') mine.push(own)
    if (order === 'behind') theirs.push(others)
  }
  if (mine.length === 0 || theirs.length === 0) return false
  return !wereBetween(mine, theirs, one, other) && !wereBetween(theirs, mine, other, one)
}

/** A change of its own a process knows before all that others did until then: the other may know these and not yet that one. */
function wereBetween(
  own: readonly Entry[],
  others: readonly Entry[],
  { image }: Witness,
  { image: otherImage }: Witness,
): boolean {
  const least = Math.max(image.revision, otherImage.revision)
  return (
    own.every(({ modRevision }) => modRevision > least) &&
    others.every(({ modRevision }) => modRevision > image.revision)
  )
}

function* sharedEntries(one: Witness, other: Witness): Generator<[Entry, Entry]> {
  yield [headEntry(one), headEntry(other)]
  for (const [id, mine] of one.records) {
    const theirs = other.records.get(id)
    if (theirs !== undefined) yield [mine, theirs]
  }
}

function headEntry({ head, image }: Witness): Entry {
  const { epoch, id } = head
  return { value: { epoch, id }, modRevision: image.keys.get(HEAD_KEY)?.modRevision ?? 0 }
}

/** `apart`: they did not follow from each other. */
function compareEntries(mine: Entry, theirs: Entry): 'same' | 'ahead' | 'behind' | 'apart' {
  if (mine.value.id === theirs.value.id) return 'same'
  if (wentOn(theirs, mine)) return 'ahead'
  return wentOn(mine, theirs) ? 'behind' : 'apart'
}

/** Epochs and revisions grow together, but for activation, which keeps the epoch and drops the set before. */
function wentOn(earlier: Entry, later: Entry): boolean {
  if (earlier.modRevision >= later.modRevision) return false
  const order = orderOf(later.value.epoch) - orderOf(earlier.value.epoch)
  if (order !== 0) return order > 0
  return earlier.value.previous !== undefined && later.value.previous === undefined
}

/** What an attempt that was cut short wrote stands for what it was made of: it may have known less than we do. */
function asBefore(record: PartitionRecord, attempts: readonly string[]): PartitionRecord {
  const { restoredFrom, ...rest } = record
  if (restoredFrom === undefined || !attempts.includes(record.id)) return rest
  return { ...rest, epoch: restoredFrom }
}

/** Epochs below the first generation are of it: in order with all others. */
function orderOf(epoch: number): number {
  return epoch < EPOCHS_OF_GENERATION ? epoch + EPOCHS_OF_GENERATION : epoch
}

/** Of the same epoch, the one that still asks for both sets: more than is needed does no harm. */
function isNewer(record: PartitionRecord, known: PartitionRecord): boolean {
  const [order, knownOrder] = [orderOf(record.epoch), orderOf(known.epoch)]
  if (order !== knownOrder) return order > knownOrder
  return record.previous !== undefined && known.previous === undefined
}
