// In which order to XOR so that few XORs are needed: Paar's greedy elimination of common pairs.
// The pair of signals that occurs together in most outputs becomes a signal of its own, again and again.
// (C. Paar, "Optimized arithmetic for Reed-Solomon encoders", 1997.)

/** A signal is an input (its index) or the result of step i (inputCount + i). */
export type Signal = number

/** A straight-line program of XORs. */
export interface XorSchedule {
  inputCount: number
  /** Step i is the XOR of two signals before it. */
  steps: readonly (readonly [Signal, Signal])[]
  /** Every output is the XOR of these signals. */
  outputs: readonly (readonly Signal[])[]
}

/** The schedule that computes outputs from inputs: bit r of `masks[i]` says that input i is in output r. */
export function scheduleXors(masks: readonly number[], outputCount: number): XorSchedule {
  const pairs = new PairFinder(masks)
  const steps: [Signal, Signal][] = []
  for (let pair = pairs.mostShared(); pair !== undefined; pair = pairs.mostShared()) {
    pairs.join(pair)
    steps.push(pair)
  }
  const outputs = Array.from({ length: outputCount }, (_, output) => pairs.signalsIn(output))
  return { inputCount: masks.length, steps, outputs }
}

/** Keeps for every signal its best partner behind it, so that a step looks at few pairs again. */
class PairFinder {
  readonly #masks: number[]
  readonly #partner: Signal[]
  readonly #shared: number[]

  constructor(masks: readonly number[]) {
    this.#masks = [...masks]
    this.#partner = masks.map(() => -1)
    this.#shared = masks.map(() => 0)
    for (const signal of masks.keys()) this.#findPartner(signal)
  }

  /** The pair that is together in most outputs; undefined when no pair is in two. */
  mostShared(): [Signal, Signal] | undefined {
    let best = -1
    let most = 1
    for (const [signal, count] of this.#shared.entries()) {
      if (count > most) {
        best = signal
        most = count
      }
    }
    return best < 0 ? undefined : [best, this.#partner[best]!]
  }

  /** Makes the pair a new signal, which takes its place wherever both were. */
  join([left, right]: readonly [Signal, Signal]): void {
    const both = this.#masks[left]! & this.#masks[right]!
    this.#masks[left]! &= ~both
    this.#masks[right]! &= ~both
    const joined = this.#masks.push(both) - 1
    this.#partner.push(-1)
    this.#shared.push(0)
    for (let signal = 0; signal < joined; signal += 1) {
      const partner = this.#partner[signal]
      const changed = [left, right]
      if (changed.includes(signal) || changed.includes(partner!)) this.#findPartner(signal)
      else this.#offer(signal, joined)
    }
  }

  /** The signals that `output` is the XOR of. */
  signalsIn(output: number): Signal[] {
    return [...this.#masks.keys()].filter((signal) => (this.#masks[signal]! >>> output) & 1)
  }

  #findPartner(signal: Signal): void {
    this.#partner[signal] = -1
    this.#shared[signal] = 0
    if (this.#masks[signal] === 0) return
    for (let other = signal + 1; other < this.#masks.length; other += 1) this.#offer(signal, other)
  }

  #offer(signal: Signal, other: Signal): void {
    const count = countBits(this.#masks[signal]! & this.#masks[other]!)
    if (count <= this.#shared[signal]!) return
    this.#partner[signal] = other
    this.#shared[signal] = count
  }
}

/** Bits set in a 32-bit number, summed in pairs, then nibbles, then bytes. */
function countBits(value: number): number {
  const pairs = value - ((value >>> 1) & 0x55555555)
  const nibbles = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333)
  return Math.imul((nibbles + (nibbles >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}
