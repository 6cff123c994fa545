// A batch on its way through the log. Two promises are all that it costs: every write makes one of these.
import type { RowBatch } from '../log/contract.ts'

/** What became of a batch: the error that left it unknown, or undefined. Never rejects. */
export type Fate = Promise<Error | undefined>

/** When a batch is durable, and when its rows can be read. */
export interface Fates {
  readonly durable: Fate
  readonly readable: Fate
}

const MET: Fate = Promise.resolve(undefined)

/** Of what was never appended: there is nothing to wait for. */
export const NO_FATES: Fates = { durable: MET, readable: MET }

/** One batch that was appended. */
export class AppendedBatch implements Fates {
  readonly batch: RowBatch
  readonly durable: Fate
  readonly readable: Fate
  /** What the log said of it, which may be before those ahead of it have met their fates. */
  end: { failure: Error | undefined } | undefined
  #tellDurable!: (failure: Error | undefined) => void
  #tellReadable!: (failure: Error | undefined) => void

  constructor(batch: RowBatch) {
    this.batch = batch
    this.durable = new Promise((resolve) => {
      this.#tellDurable = resolve
    })
    this.readable = new Promise((resolve) => {
      this.#tellReadable = resolve
    })
  }

  /** The log has it for good; its rows can be read later. */
  readonly onDurable = (): void => this.#tellDurable(undefined)

  /** Its fate is met. */
  settle(failure: Error | undefined): void {
    this.#tellDurable(failure)
    this.#tellReadable(failure)
  }
}
