// Seals: what was sealed comes back, for every range; whatever was done to it in between is an error, never wrong bytes.
import { createCipheriv, hkdfSync } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { openSeals, SealBroken } from '../../../src/encryption/open-seals.ts'
import { seal } from '../../../src/encryption/seal.ts'
import {
  SEAL_PLAIN_BYTES,
  SEAL_TAG_BYTES,
  type SealedBlob,
  sealedBytes,
  sealedRange,
} from '../../../src/encryption/seal-format.ts'
import type { Uid } from '../../../src/kit/uid.ts'
import { Seeded } from '../../support/seeded.ts'

const SEAL_BYTES = SEAL_PLAIN_BYTES + SEAL_TAG_BYTES
const KEY = Buffer.alloc(32, 1)
const UID = '0123456789abcdef0123456789abcdef' as Uid
const seeded = new Seeded(4)

function blobOf(plain: Uint8Array, other: Partial<SealedBlob> = {}): SealedBlob {
  return { uid: UID, part: 0, plainBytes: plain.length, ...other }
}

async function* inChunks(bytes: Uint8Array, chunkBytes = 10_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes)
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const chunk of chunks) all.push(chunk)
  return Buffer.concat(all)
}

function sealAll(plain: Uint8Array, blob = blobOf(plain), chunkBytes?: number): Promise<Buffer> {
  return collect(seal(inChunks(plain, chunkBytes), KEY, blob))
}

/** Reads a range as the store does: only the sealed bytes that it touches. */
function openRange(
  sealed: Uint8Array,
  blob: SealedBlob,
  range: { first: number; last: number },
  { key = KEY, chunkBytes = 9_999 } = {},
): Promise<Buffer> {
  const { first, last } = sealedRange(range, blob.plainBytes)
  const chunks = inChunks(sealed.subarray(first, last + 1), chunkBytes)
  return collect(openSeals(chunks, key, blob, range))
}

/** The format written down a second time, seal by seal, without streams. */
function sealPlainly(plain: Buffer, { uid, part }: SealedBlob): Buffer {
  const info = `kintsugi blob 1 part ${part}`
  const key = Buffer.from(hkdfSync('sha256', KEY, Buffer.from(uid, 'hex'), info, 32))
  const seals: Buffer[] = []
  for (let index = 0; index * 65536 < plain.length; index += 1) {
    const text = plain.subarray(index * 65536, (index + 1) * 65536)
    const number = Buffer.alloc(12)
    number.writeUInt32BE(index, 8)
    const cipher = createCipheriv('aes-256-gcm', key, number)
    const isLast = (index + 1) * 65536 >= plain.length
    cipher.setAAD(Buffer.concat([number.subarray(8), Buffer.of(isLast ? 1 : 0)]))
    seals.push(cipher.update(text), cipher.final(), cipher.getAuthTag())
  }
  return Buffer.concat(seals)
}

t.test(
  'lengths at the borders of seals are right, and the bytes are as the format says',
  async (t) => {
    const n = SEAL_PLAIN_BYTES
    for (const bytes of [1, 15, 16, 17, n - 1, n, n + 1, 2 * n - 1, 2 * n, 2 * n + 1, 200_000]) {
      const plain = seeded.bytes(bytes)
      const sealed = await sealAll(plain, blobOf(plain), 1000 + (bytes % 50_000))
      t.equal(sealed.length, sealedBytes(bytes), `${bytes} bytes`)
      t.ok(
        sealed.equals(sealPlainly(Buffer.from(plain), blobOf(plain))),
        `format of ${bytes} bytes`,
      )
      const whole = await openRange(sealed, blobOf(plain), { first: 0, last: bytes - 1 })
      t.ok(whole.equals(plain), `${bytes} bytes come back`)
    }
    t.equal(sealedBytes(0), 0, 'an empty object has no blob')
  },
)

t.test('chunks of one byte', async (t) => {
  const plain = Buffer.from(seeded.bytes(3000))
  const sealed = await sealAll(plain, blobOf(plain), 1)
  const all = { first: 0, last: plain.length - 1 }
  t.ok((await openRange(sealed, blobOf(plain), all, { chunkBytes: 1 })).equals(plain))
})

t.test('golden bytes', async (t) => {
  const plain = Buffer.from('a text that never changes')
  const sealed = await sealAll(plain, blobOf(plain, { part: 7 }))
  t.equal(sealed.toString('hex'), GOLDEN)
})

const GOLDEN = '92077448ef0faebcc73daada707bb44a796a7124e3912b2143d500ad5e8bcc47ff9a9fe07995f33ef4'

t.test('every range is the same range of the plain bytes', async (t) => {
  const plain = Buffer.from(seeded.bytes(5 * SEAL_PLAIN_BYTES + 1234))
  const blob = blobOf(plain)
  const sealed = await sealAll(plain)
  const position = fc.oneof(
    fc.nat(plain.length - 1),
    fc
      .tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: -2, max: 2 }))
      .map(([seals, off]) => seals * SEAL_PLAIN_BYTES + off),
  )
  await fc.assert(
    fc.asyncProperty(
      position,
      position,
      fc.integer({ min: 1_000, max: 200_000 }),
      async (a, b, size) => {
        const [first, last] = a < b ? [a, b] : [b, a]
        const got = await openRange(sealed, blob, { first, last }, { chunkBytes: size })
        return got.equals(plain.subarray(first, last + 1))
      },
    ),
    { seed: 4, numRuns: 200 },
  )
  t.pass('200 ranges')
})

t.test('a small range reads one seal', async (t) => {
  const plainBytes = 10 * SEAL_PLAIN_BYTES
  const range = sealedRange({ first: 3 * SEAL_PLAIN_BYTES, last: 3 * SEAL_PLAIN_BYTES }, plainBytes)
  t.same(range, { first: 3 * SEAL_BYTES, last: 4 * SEAL_BYTES - 1 })
})

t.test('a flipped bit anywhere is an error before any wrong byte', async (t) => {
  const plain = Buffer.from(seeded.bytes(2 * SEAL_PLAIN_BYTES + 100))
  const blob = blobOf(plain)
  const sealed = await sealAll(plain)
  const places = {
    'first byte': 0,
    'middle of a seal': 30_000,
    'end of its text': SEAL_PLAIN_BYTES - 1,
    'its tag': SEAL_PLAIN_BYTES + 3,
    'second seal': SEAL_BYTES + 5,
    'second tag': 2 * SEAL_BYTES - 1,
    'last seal': 2 * SEAL_BYTES + 50,
    'last byte': sealed.length - 1,
  }
  for (const [name, place] of Object.entries(places)) {
    const bad = Buffer.from(sealed)
    bad[place]! ^= 1 << (place % 8)
    const given: Uint8Array[] = []
    const read = async (): Promise<void> => {
      const all = openSeals(inChunks(bad), KEY, blob, { first: 0, last: plain.length - 1 })
      for await (const bytes of all) given.push(bytes)
    }
    await t.rejects(read(), { code: 'SEAL_BROKEN' }, name)
    const before = Buffer.concat(given)
    t.ok(before.equals(plain.subarray(0, before.length)), `${name}: all that was given is right`)
    t.equal(
      before.length,
      Math.floor(place / SEAL_BYTES) * SEAL_PLAIN_BYTES,
      `${name}: and whole seals`,
    )
  }
})

t.test('one flipped bit in whatever a range reads is an error', async (t) => {
  const plain = Buffer.from(seeded.bytes(3 * SEAL_PLAIN_BYTES + 77))
  const blob = blobOf(plain)
  const sealed = await sealAll(plain)
  const positions = fc.tuple(fc.nat(plain.length - 1), fc.nat(plain.length - 1))
  await fc.assert(
    fc.asyncProperty(positions, fc.nat(), fc.nat(7), async ([a, b], place, bit) => {
      const range = { first: Math.min(a, b), last: Math.max(a, b) }
      const read = sealedRange(range, plain.length)
      const at = read.first + (place % (read.last - read.first + 1))
      const bad = Buffer.from(sealed)
      bad[at]! ^= 1 << bit
      const outcome = await openRange(bad, blob, range).catch((error: unknown) => error)
      return outcome instanceof SealBroken
    }),
    { seed: 5, numRuns: 100 },
  )
  t.pass('100 bits')
})

t.test(
  'seals that are missing, moved, or of another blob, key, part or length are errors',
  async (t) => {
    const plain = Buffer.from(seeded.bytes(3 * SEAL_PLAIN_BYTES))
    const blob = blobOf(plain)
    const sealed = await sealAll(plain)
    const all = { first: 0, last: plain.length - 1 }
    const seals = [0, 1, 2].map((index) =>
      sealed.subarray(index * SEAL_BYTES, (index + 1) * SEAL_BYTES),
    )
    const joined = (...order: number[]) => Buffer.concat(order.map((index) => seals[index]!))
    const other = await sealAll(plain, blobOf(plain, { uid: UID.replace('0', '1') as Uid }))
    const otherPart = await sealAll(plain, blobOf(plain, { part: 1 }))
    const wrong: Record<string, AsyncGenerator<Uint8Array>> = {
      nothing: openSeals(inChunks(Buffer.alloc(0)), KEY, blob, all),
      'two of three seals': openSeals(inChunks(joined(0, 1)), KEY, blob, all),
      'half a seal less': openSeals(inChunks(sealed.subarray(0, -30_000)), KEY, blob, all),
      'a byte less': openSeals(inChunks(sealed.subarray(0, -1)), KEY, blob, all),
      'a seal too many': openSeals(inChunks(joined(0, 1, 2, 2)), KEY, blob, all),
      'another order': openSeals(inChunks(joined(1, 0, 2)), KEY, blob, all),
      'a seal twice': openSeals(inChunks(joined(0, 0, 2)), KEY, blob, all),
      'another blob': openSeals(inChunks(other), KEY, blob, all),
      'another part': openSeals(inChunks(otherPart), KEY, blob, all),
      'another key': openSeals(inChunks(sealed), Buffer.alloc(32, 2), blob, all),
      'cut at a seal, and said to be shorter': openSeals(
        inChunks(joined(0, 1)),
        KEY,
        { ...blob, plainBytes: 2 * SEAL_PLAIN_BYTES },
        { first: 0, last: 2 * SEAL_PLAIN_BYTES - 1 },
      ),
      'said to be longer': openSeals(
        inChunks(sealed),
        KEY,
        { ...blob, plainBytes: 4 * SEAL_PLAIN_BYTES },
        all,
      ),
    }
    for (const [name, read] of Object.entries(wrong)) {
      await t.rejects(collect(read), SealBroken, name)
    }
  },
)

t.test('the same bytes are sealed differently in every blob', async (t) => {
  const plain = Buffer.alloc(1000, 'x')
  const one = await sealAll(plain)
  const two = await sealAll(plain, blobOf(plain, { uid: UID.replace('0', '2') as Uid }))
  t.notOk(one.equals(two))
  t.notOk(one.includes('xxxx'))
})

t.test('the end of a body is seen: that is where its claims are checked', async (t) => {
  const plain = Buffer.alloc(SEAL_PLAIN_BYTES, 'x')
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield plain
    throw new Error('the checksum is wrong')
  }
  await t.rejects(collect(seal(failing(), KEY, blobOf(plain))), /checksum/)
})
