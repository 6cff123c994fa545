// Reads rows of a partition and believes none of its replicas alone: a row that rotted away in one,
// or an older one that came to light again, is seen because another replica says something else.
import { asBuffer } from '../../kit/bytes.ts'
import { DriveUnavailable } from '../../kit/drive-unavailable.ts'
import type { RowCursor, RowRange, RowReader } from '../../metadata/log/contract.ts'
import { MetadataUnavailable } from '../../metadata/unavailable.ts'
import type { RowRead } from '../meta-rows/meta-rows.ts'
import { type Answer, believe, type Doubts } from './believe.ts'
import { CheckedCursor } from './cursor.ts'
import type { HostedPartition, Member } from './partition.ts'

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
    return await this.#partition.cache.read(key, () => this.#getFrom(readers, key))
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
    await Promise.allSettled(keys.map((key) => this.get(key)))
  }

  async #getFrom([first, second]: Member[], key: Uint8Array): Promise<Uint8Array | undefined> {
    const [left, right] = await Promise.all([
      this.#read(first!, key),
      second && this.#read(second, key),
    ])
    if (left.kind !== 'rotten' && (right === undefined || isSame(left, right))) return valueIn(left)
    // Perhaps only something was applied between the two reads: nothing is while we look again.
    return await this.#partition.exclusive(() => this.#settle(key))
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
  async #read(member: Member, key: Uint8Array): Promise<RowRead> {
    try {
      const read = await member.departure.until(member.host.rows.get(this.#partition.id, key))
      return read ?? { kind: 'rotten', detail: 'it left the set' }
    } catch (error) {
      if (!(error instanceof DriveUnavailable)) throw error
      return { kind: 'rotten', detail: 'its drive failed' }
    }
  }

  async #settle(key: Uint8Array): Promise<Uint8Array | undefined> {
    const answers: Answer<RowRead>[] = []
    for (const member of this.#readers()) {
      answers.push({ member, answer: await this.#read(member, key) })
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
