// Objects that a listing read a short while ago, in strips: all current objects of a range of keys, in order. Exact: every batch
// of the partition passes here before anybody is told of it, and what was read while its range changed is not kept.
import { compareBytes, mebibytes } from '../../kit/bytes.ts'
import type { ListedEntry } from '../contract.ts'
import type { RowBatch } from '../log/contract.ts'
import { bucketIdOf, KeyKind, keyOfHead } from '../rows/keys.ts'
import { decodeListedRow } from '../rows/listed-row.ts'
import { keyAtOrAfter } from './key-search.ts'

/** Memory for the objects of one partition. */
const KEPT_BYTES = mebibytes(2)

/** What an entry costs beside its texts, and a strip beside its entries. */
const ENTRY_BYTES = 240
const STRIP_BYTES = 400

/** A strip that is extended further is another strip: a change moves what lies behind it. */
const STRIP_ENTRIES_MAX = 2048

/** Changes that a reading remembers; where more come meanwhile, nothing of it is kept. */
const CHANGES_MAX = 256

/** All current objects whose rows lie from `from` (inclusive) to `to` (exclusive). */
export interface Strip {
  readonly from: Uint8Array
  to: Uint8Array
  readonly entries: ListedEntry[]
  bytes: number
}

/** Rows that are being read, as they were at one moment, and the keys of rows that changed since. */
export interface Reading {
  changed: Uint8Array[] | 'much'
}

/** Strips of one partition; those that were not used for longest go first. */
export class KeptObjects {
  readonly #bytesMax: number
  /** In order, and disjoint. */
  #strips: Strip[] = []
  /** In order of their last use. */
  readonly #used = new Set<Strip>()
  readonly #readings = new Set<Reading>()
  #bytes = 0
  #isClosed = false

  constructor(bytesMax: number = KEPT_BYTES) {
    this.#bytesMax = bytesMax
  }

  /** The strip that knows what lies at `position`. */
  find(position: Uint8Array): Strip | undefined {
    const strip = this.#strips[this.#indexAfter(position) - 1]
    if (strip === undefined || compareBytes(position, strip.to) >= 0) return undefined
    this.#used.delete(strip)
    this.#used.add(strip)
    return strip
  }

  /** Whether a strip ends exactly there: somebody lists on. */
  endsAt(position: Uint8Array): boolean {
    const strip = this.#strips[this.#indexAfter(position) - 1]
    return strip !== undefined && compareBytes(position, strip.to) === 0
  }

  /** To be called before rows are read. */
  begin(): Reading {
    const reading: Reading = { changed: [] }
    this.#readings.add(reading)
    return reading
  }

  end(reading: Reading): void {
    this.#readings.delete(reading)
  }

  /** Keeps what was read of a range, unless some of it changed since or is known already. */
  keep(
    { changed }: Reading,
    { from, to: readTo }: { from: Uint8Array; to: Uint8Array },
    read: readonly ListedEntry[],
  ): void {
    const at = this.#indexAfter(from)
    const before = this.#strips[at - 1]
    const after = this.#strips[at]
    const meets = after !== undefined && compareBytes(after.from, readTo) < 0
    const to = meets ? after.from : readTo
    if (this.#isClosed || changed === 'much' || compareBytes(from, to) >= 0) return
    if (before !== undefined && compareBytes(from, before.to) < 0) return
    if (changed.some((key) => isWithin(key, from, to))) return
    const entries = meets ? read.slice(0, keyAtOrAfter(read, keyOfHead(to))) : read
    const bytes = entries.reduce((sum, entry) => sum + bytesOf(entry), 0)
    if (bytes + STRIP_BYTES > this.#bytesMax) return
    if (before && continues(before, from, entries.length)) this.#extend(before, to, entries, bytes)
    else this.#insert({ from, to, entries: [...entries], bytes: bytes + STRIP_BYTES }, at)
    this.#makeRoom()
  }

  /** Follows a batch that met its fate. Where that is not known nothing is kept any more. */
  settle(batch: RowBatch, failure: Error | undefined): void {
    if (failure !== undefined) this.#close()
    if (this.#isClosed) return
    for (const { key, value } of batch) {
      if (key[0] !== KeyKind.Current) continue
      for (const reading of this.#readings) noteChange(reading, key)
      this.#change(key, value)
    }
  }

  #change(key: Uint8Array, value: Uint8Array | undefined): void {
    const strip = this.#strips[this.#indexAfter(key) - 1]
    if (strip === undefined || compareBytes(key, strip.to) >= 0) return
    const { entries } = strip
    const name = keyOfHead(key)
    const at = keyAtOrAfter(entries, name)
    const found = entries[at]
    const old = found !== undefined && name.equals(Buffer.from(found.key)) ? [found] : []
    const fresh = value === undefined ? [] : [entryOf(name, value)]
    entries.splice(at, old.length, ...fresh)
    const more = sumOf(fresh) - sumOf(old)
    strip.bytes += more
    this.#bytes += more
    if (entries.length > 2 * STRIP_ENTRIES_MAX) this.#drop(strip)
    this.#makeRoom()
  }

  /** Of the first strip that begins after `position`. */
  #indexAfter(position: Uint8Array): number {
    let low = 0
    let high = this.#strips.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (compareBytes(this.#strips[middle]!.from, position) <= 0) low = middle + 1
      else high = middle
    }
    return low
  }

  #insert(strip: Strip, at: number): void {
    this.#strips.splice(at, 0, strip)
    this.#used.add(strip)
    this.#bytes += strip.bytes
  }

  #extend(strip: Strip, to: Uint8Array, entries: readonly ListedEntry[], bytes: number): void {
    strip.entries.push(...entries)
    strip.to = to
    strip.bytes += bytes
    this.#bytes += bytes
  }

  #makeRoom(): void {
    for (const oldest of this.#used) {
      if (this.#bytes <= this.#bytesMax) return
      this.#drop(oldest)
    }
  }

  #drop(strip: Strip): void {
    this.#used.delete(strip)
    this.#strips.splice(this.#strips.indexOf(strip), 1)
    this.#bytes -= strip.bytes
  }

  #close(): void {
    this.#isClosed = true
    this.#strips = []
    this.#used.clear()
    this.#bytes = 0
  }
}

/** An object as a page lists it. Pages share it: nobody changes it. */
export function entryOf(name: Buffer, row: Uint8Array): ListedEntry {
  return { kind: 'entry', key: name.toString(), record: decodeListedRow(row) }
}

function bytesOf({ key, record }: ListedEntry): number {
  return ENTRY_BYTES + key.length + record.etag.length
}

function sumOf(entries: readonly ListedEntry[]): number {
  return entries.reduce((sum, entry) => sum + bytesOf(entry), 0)
}

/** Within one bucket: the rows of the next one follow right behind, but entries do not say of which they are. */
function continues(strip: Strip, from: Uint8Array, count: number): boolean {
  if (compareBytes(strip.to, from) !== 0 || bucketIdOf(strip.from) !== bucketIdOf(from))
    return false
  return strip.entries.length + count <= STRIP_ENTRIES_MAX
}

function isWithin(key: Uint8Array, from: Uint8Array, to: Uint8Array): boolean {
  return compareBytes(key, from) >= 0 && compareBytes(key, to) < 0
}

function noteChange(reading: Reading, key: Uint8Array): void {
  if (reading.changed === 'much') return
  if (reading.changed.length === CHANGES_MAX) reading.changed = 'much'
  else reading.changed.push(key)
}
