// Our CRCs beside those of hash-wasm: every length around what the kernels take at once, in any pieces, several at a time.
import { createCRC32, createCRC64, type IHasher } from 'hash-wasm'
import t from 'tap'
import { prepareDigests } from '../../../src/digest/digest.ts'
import { newWideCrc, type WideCrcName } from '../../../src/digest/wide-crc.ts'
import { Seeded } from '../../support/seeded.ts'

await prepareDigests()
const seeded = new Seeded(64)
const references: { [Name in WideCrcName]: IHasher } = {
  CRC32C: await createCRC32(0x82f63b78),
  CRC64NVME: await createCRC64('9a6c9329ac4bc9b5'),
}
const NAMES = Object.keys(references) as WideCrcName[]

function wanted(name: WideCrcName, bytes: Uint8Array): string {
  return references[name].init().update(bytes).digest('hex')
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

for (const name of NAMES) {
  t.test(name, async (t) => {
    const bytes = seeded.bytes(200_000)
    const near = [0, 1024, 4096, 12_288, 64 * 1024, 128 * 1024].flatMap((around) =>
      Array.from({ length: 40 }, (_, at) => around - 20 + at).filter((length) => length >= 0),
    )
    for (const length of [...near, bytes.length]) {
      const some = bytes.subarray(bytes.length - length)
      const crc = newWideCrc(name)
      crc.update(some)
      if (hex(crc.digest()) !== wanted(name, some)) t.fail(`${length} bytes`)
    }
    for (let round = 0; round < 50; round += 1) {
      const crc = newWideCrc(name)
      for (let at = 0; at < bytes.length; ) {
        const most = [20, 4_000, 100_000][seeded.below(3)]!
        const next = at + seeded.below(most)
        crc.update(bytes.subarray(at, next))
        at = next
      }
      if (hex(crc.digest()) !== wanted(name, bytes)) t.fail(`round ${round}`)
    }
    t.equal(hex(newWideCrc(name).digest()), wanted(name, new Uint8Array()))
  })
}

t.test('digests that are under way together', async (t) => {
  const running = Array.from({ length: 12 }, (_, at) => {
    const name = NAMES[at % NAMES.length]!
    return { name, crc: newWideCrc(name), parts: [] as Buffer[] }
  })
  for (let step = 0; step < 400; step += 1) {
    const one = running[seeded.below(running.length)]!
    const part = seeded.bytes(seeded.below(9_000))
    one.parts.push(part)
    one.crc.update(part)
  }
  for (const { name, crc, parts } of running)
    t.equal(hex(crc.digest()), wanted(name, Buffer.concat(parts)))
})
