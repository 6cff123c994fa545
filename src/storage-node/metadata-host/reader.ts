// Reads rows of a partition and believes none of its replicas alone: a row that rotted away in one,
// or an older one that came to light again, is seen because another replica says something else.
import { asBuffer } from '../../kit/bytes.ts'
import { DriveUnavailable } from '../../kit/drive-unavailable.ts'
import type { RowCursor, RowRange, RowReader } from '../../metadata/log/contract.ts'
import { MetadataUnavailable } from '../../metadata/unavailable.ts'
import type { RowRead } from '../meta-rows/meta-rows.ts'
import { type Answer, believe, type Doubts } from './believe.ts'
import { CheckedCursor } from './cursor.ts'
import type { Member } from './member.ts'
import type { HostedPartition } from './partition.ts'

/** Rows of one partition, checked by two replicas where there are two. */
export class HostedRows implements RowReader {
  readonly #partition: HostedPartition
  readonly #parts: Doubts

  constructor(partition: HostedPartition, parts: Doubts) {
    this.#partition = partition
    this.#parts = parts
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const cached = this.getAtHand(key)
    if (cached) return cached.value
    const readers = this.#readers()
    return await this.#partition.cache.read(key, (keys) => this.#getFrom(readers, keys))
  }

  getAtHand(key: Uint8Array): { value: Uint8Array | undefined } | undefined {
    // Where nobody can read any more get() says why.
    return this.#partition.isReadable ? this.#partition.cache.find(key) : undefined
  }

  warm(keys: readonly Uint8Array[]): Promise<void> | undefined {
    const cold = keys.filter((key) => this.#partition.cache.find(key) === undefined)
    return cold.length === 0 ? undefined : this.#warm(cold)
  }

  /** Whoever reads them in earnest hears of what goes wrong. */
  async #warm(keys: readonly Uint8Array[]): Promise<void> {
    try {
      const readers = this.#readers()
      await this.#partition.cache.readAll(keys, (unread) => this.#getFrom(readers, unread))
    } catch {}
  }

  async #getFrom(
    [first, second]: Member[],
    keys: readonly Uint8Array[],
  ): Promise<(Uint8Array | undefined)[]> {
    const [left, right] = await Promise.all([
      this.#read(first!, keys),
      second && this.#read(second, keys),
    ])
    const values: (Uint8Array | undefined)[] = []
    for (const [at, key] of keys.entries()) {
      const read = left[at]!
      const isSure = read.kind !== 'rotten' && (right === undefined || isSame(read, right[at]!))
      // Perhaps only something was applied between the two reads: nothing is while we look again.
      values.push(isSure ? valueIn(read) : await this.#partition.exclusive(() => this.#settle(key)))
    }
    return values
  }

  scan(range: RowRange): RowCursor {
    return new CheckedCursor(this.#partition, range, this.#parts)
  }

  #readers(): Member[] {
    const { readers, stopped, id } = this.#partition
    if (stopped !== undefined) throw stopped
    if (readers.length === 0) throw new MetadataUnavailable(`no replica of partition ${id} is here`)
    return readers
  }

  /** A drive that fails meanwhile has no answer; another replica may have one. */
  async #read({ departure, host }: Member, keys: readonly Uint8Array[]): Promise<RowRead[]> {
    try {
      const reads = await departure.until(host.rows.getMany(this.#partition.id, keys))
      return reads ?? keys.map(() => ({ kind: 'rotten', detail: 'it left the set' }))
    } catch (error) {
      if (!(error instanceof DriveUnavailable)) throw error
      return keys.map(() => ({ kind: 'rotten', detail: 'its drive failed' }))
    }
  }

  async #settle(key: Uint8Array): Promise<Uint8Array | undefined> {
    const answers: Answer<RowRead>[] = []
    for (const member of this.#readers()) {
      const [answer] = await this.#read(member, [key])
      answers.push({ member, answer: answer! })
    }
    for (const { member, answer } of answers) {
      if (answer.kind !== 'rotten' || member.host.drive.failure !== undefined) continue
      this.#parts.onBadRows(member, new Error(`a row is rotten: ${answer.detail}`))
    }
    const readable = answers.filter(({ answer }) => answer.kind !== 'rotten')
    const believed = await believe(readable, { isSame, hasMore }, this.#parts)
    if (believed === undefined) {
      throw new MetadataUnavailable(
        `a row of partition ${this.#partition.id} is damaged everywhere`,
      )
    }
    return valueIn(believed)
  }
}

function isSame(left: RowRead, right: RowRead): boolean {
  if (left.kind === 'found' && right.kind === 'found')
    return asBuffer(left.value).equals(right.value)
  return left.kind === right.kind
}

function hasMore(one: RowRead, other: RowRead): boolean {
  return one.kind === 'found' && other.kind === 'missing'
}

function valueIn(read: RowRead): Uint8Array | undefined {
  return read.kind === 'found' ? read.value : undefined
}
