// A storage node on which nobody waits for a drive that was put aside: its callers see a drive that failed, and go on
// with the others. What they began there ends behind their backs and is cleared away then.
import type {
  CellRead,
  DriveId,
  DriveMoment,
  ShardDescribed,
  ShardDescription,
  ShardId,
  ShardOpened,
  ShardReader,
  ShardWriter,
  StorageNode,
} from '../contract.ts'
import type { AsideDrives } from './aside.ts'

/** A StorageNode in front of another one. */
export class PatientNode implements StorageNode {
  readonly #node: StorageNode
  readonly #aside: AsideDrives
  /** As the node behind it has it. What is given up there is made or not, as with any commit. */
  readonly copies?: NonNullable<StorageNode['copies']>

  constructor(node: StorageNode, aside: AsideDrives) {
    this.#node = node
    this.#aside = aside
    if (!node.copies) return
    this.copies = (description, cell) => {
      const copies = node.copies!(description, cell)
      return {
        put: (driveId, slot) => aside.orAside(driveId, () => copies.put(driveId, slot)),
      }
    }
  }

  async beginShard(
    driveId: DriveId,
    description: ShardDescription,
    use: 'data' | 'move' = 'data',
  ): Promise<ShardWriter> {
    const writer = await this.#aside.orAside(
      driveId,
      () => this.#node.beginShard(driveId, description, use),
      (late) => late.status === 'fulfilled' && clearAway(late.value.abort()),
    )
    return new PatientWriter(writer, { driveId, aside: this.#aside })
  }

  hasRoom(driveId: DriveId, shardBytes: number, use: 'data' | 'move'): boolean {
    return this.#node.hasRoom(driveId, shardBytes, use)
  }

  async openShard(driveId: DriveId, id: ShardId): Promise<ShardOpened> {
    const opened = await this.#aside.orAside(
      driveId,
      () => this.#node.openShard(driveId, id),
      (late) => {
        if (late.status === 'fulfilled' && late.value.kind === 'found') {
          clearAway(late.value.reader.close())
        }
      },
    )
    if (opened.kind !== 'found') return opened
    const reader = new PatientReader(opened.reader, { driveId, aside: this.#aside })
    return { kind: 'found', reader }
  }

  openAtHand(driveId: DriveId, id: ShardId, cellCount?: number): ShardReader | undefined {
    if (this.#aside.has(driveId)) return undefined
    const reader = this.#node.openAtHand?.(driveId, id, cellCount)
    return reader && new PatientReader(reader, { driveId, aside: this.#aside })
  }

  async deleteShard(driveId: DriveId, id: ShardId): Promise<void> {
    await this.#aside.orAside(driveId, () => this.#node.deleteShard(driveId, id))
  }

  async momentOn(driveId: DriveId): Promise<DriveMoment> {
    return await this.#aside.orAside(driveId, () => this.#node.momentOn(driveId))
  }

  async deleteUntouched(driveId: DriveId, id: ShardId, since: DriveMoment): Promise<boolean> {
    const order = (): Promise<boolean> => this.#node.deleteUntouched(driveId, id, since)
    return await this.#aside.orAside(driveId, order)
  }

  async keepShard(driveId: DriveId, id: ShardId): Promise<void> {
    await this.#aside.orAside(driveId, () => this.#node.keepShard(driveId, id))
  }

  whyAside(driveId: DriveId): string | undefined {
    return this.#aside.reasonOf(driveId)
  }
}

/** Of which drive something is. */
interface OnDrive {
  driveId: DriveId
  aside: AsideDrives
}

class PatientWriter implements ShardWriter {
  readonly #writer: ShardWriter
  readonly #on: OnDrive
  /** It was given up in the middle of a step: it is aborted as soon as that ends. */
  #isGivenUp = false

  constructor(writer: ShardWriter, on: OnDrive) {
    this.#writer = writer
    this.#on = on
  }

  async write(cell: Uint8Array): Promise<void> {
    await this.#step(() => this.#writer.write(cell))
  }

  async writeRun(cells: readonly Uint8Array[]): Promise<void> {
    await this.#step(async () => {
      if (this.#writer.writeRun) return await this.#writer.writeRun(cells)
      for (const cell of cells) await this.#writer.write(cell)
    })
  }

  async commit(metadata?: Uint8Array): Promise<void> {
    await this.#step(() => this.#writer.commit(metadata))
  }

  async abort(): Promise<void> {
    const { aside, driveId } = this.#on
    if (this.#isGivenUp) return
    if (aside.has(driveId)) clearAway(this.#writer.abort())
    else await aside.orAside(driveId, () => this.#writer.abort()).catch(ignoreGivenUp)
  }

  async #step(step: () => Promise<void>): Promise<void> {
    const { aside, driveId } = this.#on
    let isUnderWay = false
    try {
      await aside.orAside(
        driveId,
        () => {
          isUnderWay = true
          return step().finally(() => {
            isUnderWay = false
          })
        },
        () => clearAway(this.#writer.abort()),
      )
    } catch (error) {
      if (aside.has(driveId)) {
        this.#isGivenUp = true
        if (!isUnderWay) clearAway(this.#writer.abort())
      }
      throw error
    }
  }
}

/** Cells are not given up here: a caller that does not wait for one says so by itself (objects/read-blob.ts). */
class PatientReader implements ShardReader {
  readonly #reader: ShardReader
  readonly #on: OnDrive

  constructor(reader: ShardReader, on: OnDrive) {
    this.#reader = reader
    this.#on = on
  }

  async describe(): Promise<ShardDescribed> {
    const { aside, driveId } = this.#on
    return await aside.orAside(driveId, () => this.#reader.describe())
  }

  async readCell(index: number, target: Uint8Array): Promise<CellRead> {
    const { aside, driveId } = this.#on
    aside.check(driveId)
    return await this.#reader.readCell(index, target)
  }

  readRun(first: number, count: number): Promise<readonly Uint8Array[] | undefined> {
    const { aside, driveId } = this.#on
    if (!aside.has(driveId) && this.#reader.readRun) return this.#reader.readRun(first, count)
    return this.#noRun()
  }

  async #noRun(): Promise<undefined> {
    const { aside, driveId } = this.#on
    aside.check(driveId)
  }

  close(): Promise<void> | undefined {
    const { aside, driveId } = this.#on
    const closing = this.#reader.close()
    if (closing === undefined) return undefined
    if (!aside.has(driveId)) return aside.orAside(driveId, () => closing).catch(ignoreGivenUp)
    clearAway(closing)
    return undefined
  }
}

/** What is left of something that was given up ends when it ends; nobody is left whom its trouble would concern. */
function clearAway(work: Promise<unknown> | undefined): void {
  work?.catch(() => {})
}

function ignoreGivenUp(error: unknown): void {
  if ((error as { code?: string } | undefined)?.code !== 'DRIVE_UNAVAILABLE') throw error
}
