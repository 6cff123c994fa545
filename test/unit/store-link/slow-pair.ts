// Two ends of a link between which bytes take their time: in order, some turns of the event loop later, and what was written
// meanwhile together.
import { Duplex } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import type { Seeded } from '../../support/seeded.ts'

const TURNS_MAX = 6

/** One end. */
export class SlowEnd extends Duplex {
  readonly #random: Seeded
  #other: SlowEnd | undefined
  #underWay: Buffer[] = []
  #isHeld = false
  #release = (): void => {}

  constructor(random: Seeded) {
    super()
    this.#random = random
  }

  joinTo(other: SlowEnd): void {
    this.#other = other
    other.#other = this
  }

  /** What is written here does not arrive before release(). */
  hold(): void {
    this.#isHeld = true
  }

  release(): void {
    this.#isHeld = false
    this.#release()
  }

  override _read(): void {}

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.#underWay.push(Buffer.from(bytes))
    if (this.#underWay.length === 1) void this.#pass()
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    done(error)
    this.#other?.destroy()
  }

  async #pass(): Promise<void> {
    const turns = this.#random.below(TURNS_MAX) + 1
    for (let count = 0; count < turns; count += 1) await turn()
    while (this.#isHeld) {
      await new Promise<void>((resolve) => {
        this.#release = resolve
      })
    }
    const bytes = Buffer.concat(this.#underWay.splice(0))
    if (!this.destroyed) this.#other?.push(bytes)
  }
}

/** The end of a worker, and that of the store. */
export function slowPair(random: Seeded): [SlowEnd, SlowEnd] {
  const near = new SlowEnd(random)
  const far = new SlowEnd(random)
  near.joinTo(far)
  return [near, far]
}
