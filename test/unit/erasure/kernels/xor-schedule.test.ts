// Schedules are carried out symbolically: every output must be the XOR of its very inputs.
import t from 'tap'
import { stripMasks } from '../../../../src/erasure/kernels/bit-matrix.ts'
import { scheduleXors, type XorSchedule } from '../../../../src/erasure/kernels/xor-schedule.ts'
import { parityMatrix } from '../../../../src/erasure/reed-solomon.ts'
import { code, fill } from '../codes.ts'

t.test('random systems', async (t) => {
  for (let round = 1; round <= 50; round += 1) {
    const masks = [...new Uint32Array(fill(new Uint8Array(4 * round), round).buffer)]
    t.ok(isRight(scheduleXors(masks, 32), masks), `round ${round}`)
  }
})

t.test('a shared pair is computed once', async (t) => {
  const schedule = scheduleXors([0b111, 0b111, 0b100], 3)
  t.same(schedule.steps, [[0, 1]])
  t.same(schedule.outputs, [[3], [3], [2, 3]])
  t.equal(countXors(schedule), 2)
})

t.test('nothing in, nothing out', async (t) => {
  t.same(scheduleXors([], 0), { inputCount: 0, steps: [], outputs: [] })
  t.same(scheduleXors([0], 1).outputs, [[]])
})

t.test('the matrices of the common codes take few XORs', async (t) => {
  const limits = { '4+2': 1.8, '8+3': 3.3, '10+4': 4.6, '12+4': 4.7 }
  for (const [name, limit] of Object.entries(limits)) {
    const [k, m] = name.split('+').map(Number) as [number, number]
    const schedule = scheduleXors(stripMasks(parityMatrix(code(k, m))), 8 * m)
    t.ok(countXors(schedule) / (8 * k) < limit, `${name}: ${countXors(schedule) / (8 * k)}`)
  }
})

/** How many XORs a schedule takes. */
function countXors({ steps, outputs }: XorSchedule): number {
  return outputs.reduce((sum, signals) => sum + Math.max(signals.length - 1, 0), steps.length)
}

function isRight({ inputCount, steps, outputs }: XorSchedule, masks: readonly number[]): boolean {
  const signals = masks.map((_, input) => 1n << BigInt(input))
  for (const [left, right] of steps) signals.push(signals[left]! ^ signals[right]!)
  const wantedOf = (output: number): bigint =>
    masks.reduce((sum, mask, input) => sum | (BigInt((mask >>> output) & 1) << BigInt(input)), 0n)
  return (
    inputCount === masks.length &&
    outputs.every(
      (parts, output) =>
        parts.reduce((sum, signal) => sum ^ signals[signal]!, 0n) === wantedOf(output),
    )
  )
}
