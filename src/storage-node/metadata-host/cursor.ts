// An ordered walk over the rows of a partition, on two replicas at once where there are two.
import { asBuffer } from '../../kit/bytes.ts'
import { DriveUnavailable } from '../../kit/drive-unavailable.ts'
import { Overloaded } from '../../kit/semaphore.ts'
import type { RowCursor } from '../../metadata/log/contract.ts'
import { MetadataUnavailable } from '../../metadata/unavailable.ts'
import {
  type OpenRange,
  openStoredRow,
  type StoredCursor,
  type StoredRow,
} from '../meta-rows/meta-rows.ts'
import { type Answer, believe, type Doubts } from './believe.ts'
import type { Member } from './member.ts'
import type { HostedPartition } from './partition.ts'

interface Row {
  key: Uint8Array
  value: Uint8Array
}

interface Walk {
  member: Member
  cursor: StoredCursor
}

/** A page of stored rows, or why there is none. */
type Page = { rows: StoredRow[] } | { trouble: string; byDrive: boolean }

/** A RowCursor that gives only rows that two replicas agree on, or that the right one of them has. */
export class CheckedCursor implements RowCursor {
  readonly #partition: HostedPartition
  readonly #doubts: Doubts
  readonly #to: Uint8Array | undefined
  readonly #skip: number
  #from: Uint8Array
  #walks: Walk[] | undefined

  /** `skip`: how many of the replicas to pass over, so that every pair can be compared. */
  constructor(partition: HostedPartition, range: OpenRange, doubts: Doubts, skip = 0) {
    this.#partition = partition
    this.#doubts = doubts
    this.#from = range.from
    this.#to = range.to
    this.#skip = skip
  }

  async next(count: number): Promise<Row[]> {
    this.#walks ??= await this.#partition.exclusive(async () => this.#openWalks(2))
    const rows = agreedRows(await this.#readAll(this.#walks, count))
    const opened = rows && this.#openRows(rows)
    if (opened !== undefined) return this.#advance(opened)
    await this.close()
    const settled = await this.#partition.exclusive(() => this.nextSettled(count))
    return this.#openRows(settled)!
  }

  seek(key: Uint8Array): void {
    this.#from = key
    for (const { cursor } of this.#walks ?? []) cursor.seek(key)
  }

  async close(): Promise<void> {
    const walks = this.#walks ?? []
    this.#walks = undefined
    await closeAll(walks)
  }

  #openWalks(most: number): Walk[] {
    const { readers, stopped, id } = this.#partition
    if (stopped !== undefined) throw stopped
    if (readers.length === 0) throw new MetadataUnavailable(`no replica of partition ${id} is here`)
    const rotated = readers.map((_, index) => readers[(index + this.#skip) % readers.length]!)
    const range = { from: this.#from, to: this.#to }
    return rotated
      .slice(0, most)
      .map((member) => ({ member, cursor: member.host.rows.cursor(id, range) }))
  }

  async #readAll(walks: readonly Walk[], count: number): Promise<Page[]> {
    try {
      return await Promise.all(walks.map((walk) => this.#read(walk, count)))
    } catch (error) {
      // Some have read on, and what they gave is lost: who asks again begins behind what was given.
      await this.close()
      throw error
    }
  }

  /** Throws Overloaded where too much waits for a drive: that says nothing of its rows. */
  async #read({ member, cursor }: Walk, count: number): Promise<Page> {
    try {
      const rows = await member.departure.until(cursor.next(count))
      return rows === undefined ? { trouble: 'it left the set', byDrive: true } : { rows }
    } catch (error) {
      if (error instanceof Overloaded) throw error
      const byDrive = error instanceof DriveUnavailable || !member.readable || member.paused
      return { trouble: error instanceof Error ? error.message : String(error), byDrive }
    }
  }

  /**
   * The next rows that the right replica has, after asking all of them.
   * Only while exclusive: nothing is applied then, and a difference is damage.
   */
  async nextSettled(count: number): Promise<StoredRow[]> {
    const whole = await this.#settlePage(count)
    if (whole !== undefined) return this.#advance(whole)
    // Every replica has some rotten row here, but hardly the same one.
    const rows: StoredRow[] = []
    while (rows.length < count) {
      const one = await this.#settlePage(1)
      if (one === undefined) {
        throw new MetadataUnavailable(
          `a row of partition ${this.#partition.id} is damaged everywhere`,
        )
      }
      if (one.length === 0) break
      rows.push(...this.#advance(one))
    }
    return rows
  }

  async #settlePage(count: number): Promise<StoredRow[] | undefined> {
    const walks = this.#openWalks(Number.POSITIVE_INFINITY)
    const answers = await this.#answers(walks, count).finally(() => closeAll(walks))
    return await believe(answers, { isSame: sameRows, hasMore }, this.#doubts)
  }

  /** Of those that can read. Who can not is reported, but for what its drive does. */
  async #answers(walks: readonly Walk[], count: number): Promise<Answer<StoredRow[]>[]> {
    const answers: Answer<StoredRow[]>[] = []
    for (const walk of walks) {
      const page = await this.#read(walk, count)
      if ('rows' in page && this.#openRows(page.rows) !== undefined) {
        answers.push({ member: walk.member, answer: page.rows })
      } else if ('rows' in page || !page.byDrive) {
        const what = 'rows' in page ? 'a row is rotten' : page.trouble
        this.#doubts.onBadRows(walk.member, new Error(what))
      }
    }
    return answers
  }

  /** The values of the rows, or undefined when one of them is rotten. */
  #openRows(rows: readonly StoredRow[]): Row[] | undefined {
    const opened: Row[] = []
    for (const row of rows) {
      const value = openStoredRow(this.#partition.id, row)
      if (value === undefined) return undefined
      opened.push({ key: row.key, value })
    }
    return opened
  }

  #advance<R extends { key: Uint8Array }>(rows: R[]): R[] {
    const last = rows.at(-1)
    // The first key after it.
    if (last !== undefined) this.#from = Buffer.concat([last.key, Buffer.alloc(1)])
    return rows
  }
}

function agreedRows([first, second]: readonly Page[]): StoredRow[] | undefined {
  if (first === undefined || !('rows' in first)) return undefined
  if (second === undefined) return first.rows
  return 'rows' in second && sameRows(first.rows, second.rows) ? first.rows : undefined
}

function sameRows(left: readonly StoredRow[], right: readonly StoredRow[]): boolean {
  if (left.length !== right.length) return false
  return left.every(({ key, stored }, index) => {
    const other = right[index]!
    return asBuffer(key).equals(other.key) && asBuffer(stored).equals(other.stored)
  })
}

function hasMore(one: readonly StoredRow[], other: readonly StoredRow[]): boolean {
  return one.length > other.length
}

async function closeAll(walks: readonly Walk[]): Promise<void> {
  // A cursor of a LevelDB that was closed meanwhile is closed already.
  await Promise.all(walks.map(({ cursor }) => cursor.close()))
}
