// Independent random numbers for each purpose, all from one seed: more of one draws nothing from another.
import { Seeded } from '../support/seeded.ts'

/** The numbers for `purpose` under `seed`. */
export function randomsFor(seed: number, purpose: string): Seeded {
  let state = mix(seed ^ 0x9e3779b9)
  for (const char of purpose) state = mix(state ^ char.charCodeAt(0))
  return new Seeded(state)
}

/** Spreads neighbouring seeds far apart (the end of MurmurHash3). */
function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

/** One of the names, as often as its weight beside those of the others says. */
export function pickBy<Name extends string>(
  random: Seeded,
  weights: { [N in Name]: number },
): Name {
  const names = Object.keys(weights) as Name[]
  let left = random.below(names.reduce((sum, name) => sum + weights[name], 0))
  for (const name of names) {
    if (left < weights[name]) return name
    left -= weights[name]
  }
  return names[0]!
}
