// MD5 of streams that are digested together, against OpenSSL one by one.
import { createHash } from 'node:crypto'
import t from 'tap'
import { newLongMd5, prepareDigests } from '../../../src/digest/digest.ts'
import { Md5Lanes } from '../../../src/digest/md5-lanes.ts'
import { realWorld } from '../../../src/kit/world.ts'
import { Seeded } from '../../support/seeded.ts'

function md5Of(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex')
}

const { clock } = realWorld()

interface Stream {
  bytes: Buffer
  at: number
  md5: { update(bytes: Uint8Array): void; digest(): Uint8Array }
}

/** Feeds all streams, a random one a random part at a time; what each gave in the end. */
function feed(seeded: Seeded, streams: Stream[], most: number): Map<Stream, string> {
  const digests = new Map<Stream, string>()
  const open = [...streams]
  while (open.length > 0) {
    const stream = open[seeded.below(open.length)]!
    if (stream.at < stream.bytes.length) {
      const part = stream.bytes.subarray(stream.at, stream.at + 1 + seeded.below(most))
      stream.md5.update(part)
      stream.at += part.length
      continue
    }
    digests.set(stream, Buffer.from(stream.md5.digest()).toString('hex'))
    open.splice(open.indexOf(stream), 1)
  }
  return digests
}

t.test('streams of all lengths, side by side, have the digests that they have alone', async (t) => {
  const lanes = new Md5Lanes(clock)
  for (let seed = 1; seed <= 30; seed += 1) {
    const seeded = new Seeded(seed)
    const most = [300, 70_000, 300_000][seed % 3]!
    const streams = Array.from({ length: 1 + seeded.below(9) }, () => ({
      bytes: seeded.bytes(seeded.below(seed % 3 === 0 ? 200 : 700_000)),
      at: 0,
      md5: lanes.begin()!,
    }))
    for (const [{ bytes }, digest] of feed(seeded, streams, most)) {
      if (digest !== md5Of(bytes)) t.fail(`seed ${seed}: ${bytes.length} bytes`)
    }
  }
  t.pass()
})

t.test('a few streams go both ways, and by halves of what they collect', async (t) => {
  // Each look costs more than the last, so that now one way seems to be the faster one and now the other.
  let nowMs = 0
  let looks = 0
  const monotonicMs = (): number => {
    looks += 1
    nowMs += looks % 7
    return nowMs
  }
  for (const count of [2, 3, 4, 5, 8]) {
    const lanes = new Md5Lanes({ monotonicMs })
    const seeded = new Seeded(count)
    const streams = Array.from({ length: count }, () => ({
      bytes: seeded.bytes(64 * 65_536 + seeded.below(1000)),
      md5: lanes.begin()!,
    }))
    for (let at = 0; at < 65 * 65_536; at += 65_536)
      for (const { bytes, md5 } of streams) md5.update(bytes.subarray(at, at + 65_536))
    for (const { bytes, md5 } of streams)
      t.equal(Buffer.from(md5.digest()).toString('hex'), md5Of(bytes), `one of ${count}`)
  }
  t.ok(looks > 100, 'ways are measured')
})

t.test('every length around the end of a block and of what is collected', async (t) => {
  const lanes = new Md5Lanes(clock)
  const around = [0, 64, 128 * 1024, 128 * 1024 + 64]
  for (const middle of around) {
    for (let bytes = Math.max(0, middle - 20); bytes <= middle + 20; bytes += 1) {
      const md5 = lanes.begin()!
      const body = Buffer.alloc(bytes, bytes & 0xff)
      md5.update(body)
      t.equal(Buffer.from(md5.digest()).toString('hex'), md5Of(body), `${bytes} bytes`)
    }
  }
})

t.test('there is room for some streams, and again when they have ended', async (t) => {
  const lanes = new Md5Lanes(clock)
  const streams = Array.from({ length: 33 }, () => lanes.begin())
  t.equal(streams.filter((stream) => stream === undefined).length, 1)
  for (const stream of streams) stream?.digest()
  t.equal(Buffer.from(lanes.begin()!.digest()).toString('hex'), md5Of(Buffer.alloc(0)))
})

t.test('a digest that has ended is used up', async (t) => {
  const md5 = new Md5Lanes(clock).begin()!
  md5.digest()
  t.throws(() => md5.update(Buffer.from('a')), /after its end/)
  t.throws(() => md5.digest(), /ends once/)
})

t.test('long bodies have their MD5, however many come at once', async (t) => {
  await prepareDigests()
  const seeded = new Seeded(77)
  const streams = Array.from({ length: 40 }, () => ({
    bytes: seeded.bytes(1_000_000 + seeded.below(100_000)),
    at: 0,
    md5: newLongMd5(),
  }))
  for (const [{ bytes }, digest] of feed(seeded, streams, 65_536)) {
    if (digest !== md5Of(bytes)) t.fail(`${bytes.length} bytes`)
  }
  t.pass()
})
