// The log of a metadata partition with a memory of its own: what was appended, what of it was acknowledged, and so
// which rows may be found after a power loss. A batch is there whole or not at all, and none without those before it.
import type {
  LogPosition,
  PartitionLog,
  RowBatch,
  RowChange,
  RowReader,
} from '../../src/metadata/log/contract.ts'

/** Rows by the hexadecimal of their key. */
export type Rows = ReadonlyMap<string, Buffer>

/** What is known of a partition: its rows before, and the batches since. */
export interface KnownRows {
  before: Rows
  batches: readonly RowBatch[]
  /** So many of the batches, the first ones, were acknowledged. */
  acknowledged: number
}

/** A PartitionLog over the one of a host. */
export class RecordedLog implements PartitionLog {
  readonly #log: PartitionLog
  readonly #before: Rows
  readonly #batches: RowBatch[] = []
  #acknowledged = 0

  constructor(log: PartitionLog, before: Rows = new Map()) {
    this.#log = log
    this.#before = before
  }

  get rows(): RowReader {
    return this.#log.rows
  }

  /** What is known just now. */
  get known(): KnownRows {
    return {
      before: this.#before,
      batches: [...this.#batches],
      acknowledged: this.#acknowledged,
    }
  }

  async append(batch: RowBatch): Promise<LogPosition> {
    this.#batches.push(batch)
    const place = this.#batches.length
    const position = await this.#log.append(batch)
    this.#acknowledged = Math.max(this.#acknowledged, place)
    return position
  }
}

/** All rows of a partition. */
export async function readAll({ rows }: PartitionLog): Promise<Map<string, Buffer>> {
  const cursor = rows.scan({ from: Buffer.of(0), to: Buffer.of(0xff) })
  const found = new Map<string, Buffer>()
  for (;;) {
    const page = await cursor.next(100)
    for (const { key, value } of page) {
      found.set(Buffer.from(key).toString('hex'), Buffer.from(value))
    }
    if (page.length < 100) break
  }
  await cursor.close()
  return found
}

/** The rows after all batches. */
export function rowsAfter({ before, batches }: KnownRows): Map<string, Buffer> {
  const rows = new Map(before)
  for (const batch of batches) apply(rows, batch)
  return rows
}

/**
 * Compares what was found with what may be there. Gives what is known from now on, or what is wrong: rows that are
 * those of no moment after the last acknowledged batch.
 */
export function judgeRows(found: Rows, known: KnownRows): KnownRows | string {
  const { batches, acknowledged } = known
  const rows = rowsAfter({ ...known, batches: batches.slice(0, acknowledged) })
  const wanted = differenceOf(found, rows)
  if (wanted === undefined) return settled(found)
  for (const batch of batches.slice(acknowledged)) {
    apply(rows, batch)
    if (differenceOf(found, rows) === undefined) return settled(found)
  }
  const doubt = batches.length - acknowledged
  return `${wanted} (${acknowledged} batches acknowledged, ${doubt} in doubt)`
}

function settled(found: Rows): KnownRows {
  return { before: found, batches: [], acknowledged: 0 }
}

function apply(rows: Map<string, Buffer>, batch: readonly RowChange[]): void {
  for (const { key, value } of batch) {
    const name = Buffer.from(key).toString('hex')
    if (value === undefined) rows.delete(name)
    else rows.set(name, Buffer.from(value))
  }
}

function differenceOf(found: Rows, wanted: Rows): string | undefined {
  for (const [key, value] of wanted) {
    const actual = found.get(key)
    if (actual === undefined) return `row ${key} is missing`
    if (!actual.equals(value)) return `row ${key} has another value`
  }
  if (found.size === wanted.size) return undefined
  return `row ${[...found.keys()].find((key) => !wanted.has(key))} should not be there`
}
