// Combined CRCs against the CRC of the whole.
import t from 'tap'
import { type CrcName, combineCrc } from '../../../src/digest/combine.ts'
import { digestOf, newDigest, prepareDigests } from '../../../src/digest/digest.ts'
import { pattern } from './pattern.ts'

const names: CrcName[] = ['CRC32', 'CRC32C', 'CRC64NVME']
await prepareDigests()

t.test('two halves of any length', async (t) => {
  const bytes = pattern(70_001)
  for (const name of names) {
    const whole = digestOf(name, bytes)
    for (const cut of [0, 1, 2, 255, 256, 4096, 65_536, 69_999, 70_000, 70_001]) {
      const left = digestOf(name, bytes.subarray(0, cut))
      const right = digestOf(name, bytes.subarray(cut))
      t.same(hex(combineCrc(name, left, right, bytes.length - cut)), hex(whole), `${name} ${cut}`)
    }
  }
})

t.test('many parts in a row', async (t) => {
  const parts = [5, 0, 1000, 1000, 1000, 17, 65_536].map((length, seed) => pattern(length, seed))
  for (const name of names) {
    const combined = parts.reduce(
      (sum: Uint8Array, part) => combineCrc(name, sum, digestOf(name, part), part.length),
      newDigest(name).digest(),
    )
    t.same(hex(combined), hex(digestOf(name, Buffer.concat(parts))), name)
  }
})

// Appending 2^a zero bytes 2^b times is appending 2^(a + b): lengths beyond 32 bits without the bytes.
t.test('lengths beyond 32 bits', async (t) => {
  for (const name of names) {
    const start = digestOf(name, pattern(100))
    const nothing = new Uint8Array(start.length)
    const once = combineCrc(name, start, nothing, 5 * 2 ** 40)
    let stepped = start
    for (let step = 0; step < 1024; step += 1)
      stepped = combineCrc(name, stepped, nothing, 5 * 2 ** 30)
    t.same(hex(once), hex(stepped), name)
  }
})

t.test('what is no CRC or no length is our own bug', async (t) => {
  const four = new Uint8Array(4)
  t.throws(() => combineCrc('CRC64NVME', four, four, 1), { name: 'AssertionFailed' })
  t.throws(() => combineCrc('CRC32', four, new Uint8Array(8), 1), { name: 'AssertionFailed' })
  t.throws(() => combineCrc('CRC32', four, four, -1), { name: 'AssertionFailed' })
  t.throws(() => combineCrc('CRC32', four, four, 1.5), { name: 'AssertionFailed' })
})

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
