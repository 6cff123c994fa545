// Reads a shard that may lie on its drive twice: as a record of a segment and in a file of its own.
// It does so after it was written again into a file, to mend it, when LevelDB loses that the record is dead: the index
// is made again from segments then, and a record that rotted would hide the good file.
import type { CellRead, ShardDescribed, ShardReader } from './contract.ts'

/** Opens the other place of a shard; undefined when it lies in the first one only. */
export type OpenOther = () => Promise<ShardReader | undefined>

/** Reads from the first place, and what is damaged there from the other. */
export class EitherReader implements ShardReader {
  readonly #first: ShardReader
  readonly #openOther: OpenOther
  #other: Promise<ShardReader | undefined> | undefined

  constructor(first: ShardReader, openOther: OpenOther) {
    this.#first = first
    this.#openOther = openOther
  }

  /** Reads and verifies one cell. The bytes of a shard never change, so cells of both places fit together. */
  async readCell(index: number, target: Uint8Array): Promise<CellRead> {
    return await this.#readEither((reader) => reader.readCell(index, target))
  }

  /** Adjacent cells of the first place, when they are whole there. */
  readRun(first: number, count: number): Promise<readonly Uint8Array[] | undefined> {
    return this.#first.readRun?.(first, count) ?? Promise.resolve(undefined)
  }

  /** Reads and verifies header and tail. */
  async describe(): Promise<ShardDescribed> {
    return await this.#readEither((reader) => reader.describe())
  }

  close(): Promise<void> | undefined {
    const closing = this.#first.close()
    return this.#other === undefined ? closing : this.#closeBoth(closing, this.#other)
  }

  async #closeBoth(
    first: Promise<void> | undefined,
    opening: Promise<ShardReader | undefined>,
  ): Promise<void> {
    await first
    const other = await opening.catch(() => undefined) // Who read got the error.
    await other?.close()
  }

  /** What is wrong with the first place is told when the other one is no better. */
  async #readEither<Read extends { kind: string }>(
    read: (reader: ShardReader) => Promise<Read>,
  ): Promise<Read> {
    const wanted = await read(this.#first)
    if (wanted.kind === 'found') return wanted
    this.#other ??= this.#openOther()
    const other = await this.#other
    if (other === undefined) return wanted
    const again = await read(other)
    return again.kind === 'found' ? again : wanted
  }
}
