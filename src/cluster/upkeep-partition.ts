// A metadata partition as upkeep walks it in a node that leads it now and then: while another node leads it, its blobs are
// that node's, and there is nothing to do here. What asks for one blob is refused then: "not here" is never "not there".
import type {
  AnswerTo,
  Command,
  MetadataPartition,
  MetaPartitionId,
  OwedBlob,
  PartitionTally,
  Sending,
} from '../metadata/contract.ts'
import { MetadataUnavailable } from '../metadata/unavailable.ts'

type Led = MetadataPartition

/** One for each id, for the life of the process. */
export class UpkeepPartition implements MetadataPartition {
  readonly id: MetaPartitionId
  readonly #tally: TallyOfReigns
  readonly #find: () => Led | undefined

  /** `find`: the partition while this process leads it. */
  constructor(id: MetaPartitionId, find: () => Led | undefined) {
    this.id = id
    this.#find = find
    this.#tally = new TallyOfReigns(find)
  }

  get tally(): PartitionTally {
    return this.#tally
  }

  /** Whether this process leads it. */
  get isLed(): boolean {
    return this.#find() !== undefined
  }

  /**
   * The partition as it is led now: when this reign is over it refuses, even if this process leads again by then. What was
   * prepared in one reign is not to be committed in a later one, for whoever led in between may have judged by what rows
   * said then. Throws MetadataUnavailable.
   */
  ofReign(): MetadataPartition {
    return this.#led
  }

  /** Of another's partition nothing is walked: it ends before it begins. */
  async scanBlobs(...of: Parameters<Led['scanBlobs']>): ReturnType<Led['scanBlobs']> {
    const nothing = { references: [], after: undefined, more: false }
    return (await this.#find()?.scanBlobs(...of)) ?? nothing
  }

  async owedBlobs(...of: Parameters<Led['owedBlobs']>): ReturnType<Led['owedBlobs']> {
    return (await this.#orDoubt((led) => led.owedBlobs(...of))) ?? []
  }

  async owedAfter(...of: Parameters<Led['owedAfter']>): ReturnType<Led['owedAfter']> {
    return (await this.#orDoubt((led) => led.owedAfter(...of))) ?? []
  }

  async countOwed(): Promise<number> {
    return (await this.#orDoubt((led) => led.countOwed())) ?? 0
  }

  /** Undefined where there is no answer. */
  async #orDoubt<Answer>(ask: (led: Led) => Promise<Answer>): Promise<Answer | undefined> {
    const led = this.#find()
    try {
      return led && (await ask(led))
    } catch (error) {
      if (!(error instanceof MetadataUnavailable)) throw error
      // The blobs of others are mended meanwhile; nobody may think that here nothing is owed.
      this.#tally.doubt()
      return undefined
    }
  }

  async dueGarbage(...of: Parameters<Led['dueGarbage']>): ReturnType<Led['dueGarbage']> {
    return (await this.#find()?.dueGarbage(...of)) ?? []
  }

  async garbageAfter(...of: Parameters<Led['garbageAfter']>): ReturnType<Led['garbageAfter']> {
    return (await this.#find()?.garbageAfter(...of)) ?? []
  }

  async forgetExpired(): Promise<number> {
    return (await this.#find()?.forgetExpired()) ?? 0
  }

  async countUploads(): ReturnType<Led['countUploads']> {
    return await this.#led.countUploads()
  }

  async settle(): Promise<void> {
    await this.#led.settle()
  }

  async commit<C extends Command>(command: C, sending?: Sending): Promise<AnswerTo<C>> {
    return await this.#led.commit(command, sending)
  }

  async findBlob(...of: Parameters<Led['findBlob']>): ReturnType<Led['findBlob']> {
    return await this.#led.findBlob(...of)
  }

  async findInOrder(...of: Parameters<Led['findInOrder']>): ReturnType<Led['findInOrder']> {
    return await this.#led.findInOrder(...of)
  }

  async judgeBlobs(...of: Parameters<Led['judgeBlobs']>): ReturnType<Led['judgeBlobs']> {
    return await this.#led.judgeBlobs(...of)
  }

  async getObject(...of: Parameters<Led['getObject']>): ReturnType<Led['getObject']> {
    return await this.#led.getObject(...of)
  }

  async getManifest(...of: Parameters<Led['getManifest']>): ReturnType<Led['getManifest']> {
    return await this.#led.getManifest(...of)
  }

  async scanObjects(...of: Parameters<Led['scanObjects']>): ReturnType<Led['scanObjects']> {
    return await this.#led.scanObjects(...of)
  }

  async getUpload(...of: Parameters<Led['getUpload']>): ReturnType<Led['getUpload']> {
    return await this.#led.getUpload(...of)
  }

  async listParts(...of: Parameters<Led['listParts']>): ReturnType<Led['listParts']> {
    return await this.#led.listParts(...of)
  }

  async scanUploads(...of: Parameters<Led['scanUploads']>): ReturnType<Led['scanUploads']> {
    return await this.#led.scanUploads(...of)
  }

  async scanVersions(...of: Parameters<Led['scanVersions']>): ReturnType<Led['scanVersions']> {
    return await this.#led.scanVersions(...of)
  }

  async getAnnotation(...of: Parameters<Led['getAnnotation']>): ReturnType<Led['getAnnotation']> {
    return await this.#led.getAnnotation(...of)
  }

  async scanAnnotations(
    ...of: Parameters<Led['scanAnnotations']>
  ): ReturnType<Led['scanAnnotations']> {
    return await this.#led.scanAnnotations(...of)
  }

  get #led(): Led {
    const led = this.#find()
    if (led === undefined)
      throw new MetadataUnavailable(`partition ${this.id} is led by another node`)
    return led
  }
}

/** Grows over reigns that come and go, so that whoever began in one of them knows that it has missed something. */
class TallyOfReigns implements PartitionTally {
  readonly #find: () => Led | undefined
  #led: Led | undefined
  /** What was counted up before the reign that is known now. */
  #before = { owed: 0, promoted: 0 }
  #now = { owed: 0, promoted: 0 }

  constructor(find: () => Led | undefined) {
    this.#find = find
  }

  get owed(): number {
    return this.#look().owed
  }

  get promoted(): number {
    return this.#look().promoted
  }

  promotedSince(promoted: number): readonly OwedBlob[] | undefined {
    this.#look()
    if (promoted < this.#before.promoted) return undefined
    return this.#led ? this.#led.tally.promotedSince(promoted - this.#before.promoted) : []
  }

  /** What it said of owed blobs was not all. */
  doubt(): void {
    this.#before = { ...this.#before, owed: this.#before.owed + 1 }
  }

  #look(): { owed: number; promoted: number } {
    const led = this.#find()
    if (led !== this.#led)
      this.#before = { owed: this.#now.owed + 1, promoted: this.#now.promoted + 1 }
    this.#led = led
    const { owed, promoted } = led?.tally ?? { owed: 0, promoted: 0 }
    this.#now = { owed: this.#before.owed + owed, promoted: this.#before.promoted + promoted }
    return this.#now
  }
}
