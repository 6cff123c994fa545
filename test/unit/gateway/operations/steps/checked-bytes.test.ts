// The checksum of a range: of exactly its bytes, for as many at once as the budget allows, which always comes back.
import { crc32 } from 'node:zlib'
import t from 'tap'
import { prepareDigests } from '../../../../../src/digest/digest.ts'
import {
  type CheckedBytes,
  checkBytes,
} from '../../../../../src/gateway/operations/steps/checked-bytes.ts'
import { mebibytes } from '../../../../../src/kit/bytes.ts'

t.before(prepareDigests)

const MIB = new Uint8Array(mebibytes(1)).fill(7)

async function* mebibytesOf(count: number): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < count; index += 1) yield MIB
}

async function drain({ chunks }: CheckedBytes): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const chunk of chunks) all.push(chunk)
  return Buffer.concat(all)
}

function take(count: number): Promise<CheckedBytes | undefined> {
  return checkBytes(mebibytesOf(count), mebibytes(count))
}

t.test('the bytes and their CRC32', async (t) => {
  async function* chunks() {
    yield Buffer.from('hel')
    yield Buffer.from('lo')
  }
  const checked = (await checkBytes(chunks(), 5))!
  t.same(checked.checksum, { algorithm: 'CRC32', type: 'FULL_OBJECT', value: 'NhCmhg==' })
  t.equal((await drain(checked)).toString(), 'hello')
})

t.test('16 MiB are the most', async (t) => {
  const checked = (await take(16))!
  const bytes = await drain(checked)
  const value = Buffer.alloc(4)
  value.writeUInt32BE(crc32(bytes))
  t.equal(checked.checksum.value, value.toString('base64'))
  let read = false
  async function* unread(): AsyncGenerator<Uint8Array> {
    read = true
    yield MIB
  }
  t.equal(await checkBytes(unread(), mebibytes(16) + 1), undefined)
  t.notOk(read, 'nothing was read')
})

t.test('64 MiB at once; what is sent, given up or fails comes back', async (t) => {
  const held = await Promise.all([take(16), take(16), take(16), take(16)])
  t.ok(held.every((one) => one !== undefined))
  t.equal(await take(1), undefined, 'nothing is left')
  const [first, second] = held.map((one) => one!.chunks[Symbol.asyncIterator]())
  await first!.next()
  await first!.next()
  const one = await take(1)
  t.ok(one, 'one chunk was sent')
  t.equal(await take(1), undefined)
  await second!.next()
  await second!.return!()
  const sixteen = await take(16)
  t.ok(sixteen, 'a reader went away')
  await first!.return!()
  await held[2]!.chunks[Symbol.asyncIterator]().return!()
  const unbegun = await take(16)
  t.ok(unbegun, 'nobody began to send')
  for (const left of [held[3]!, one!, sixteen!, unbegun!]) await drain(left)
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield MIB
    throw new Error('too few shards')
  }
  for (let round = 0; round < 5; round += 1)
    await t.rejects(checkBytes(broken(), mebibytes(16)), { message: 'too few shards' })
  const again = await Promise.all([take(16), take(16), take(16), take(16)])
  t.ok(
    again.every((two) => two !== undefined),
    'all of it is free again',
  )
  for (const left of again) await drain(left!)
})
